"""A peer of the proxy that speaks HTTP/2 through hyper-h2: an implementation that is not ours.

client = await H2Peer.greet(await proxy.connect())
stream = await client.ask("GET", "/")
answer = await client.answer(stream)
assert (answer.status, answer.body) == (200, b"hi")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import h2.config
import h2.connection
import h2.events
import h2.settings
import trio
import trio.testing
from dialogue import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dialogue import Peer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
Fields = list[tuple[str, str]]


@attrs.define
class Heard:
    """What came on one stream."""

    headers: dict[str, str] = attrs.Factory(dict)
    interim: list[str] = attrs.Factory(list)
    body: bytes = b""
    trailers: dict[str, str] | None = None
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        """The status of the response."""
        return int(self.headers[":status"])


class H2Peer:
    """One end of an HTTP/2 connection; `heard` has what came, by stream."""

    def __init__(
        self, peer: Peer, *, client: bool, window: int = 65_535, most_streams: int = 100
    ) -> None:
        config = h2.config.H2Configuration(
            client_side=client, header_encoding="latin-1", validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )  # fmt: skip
        self.peer = peer
        self.client = client
        self._greeted = False
        self.h2 = h2.connection.H2Connection(config)
        codes = h2.settings.SettingCodes
        self.h2.local_settings = h2.settings.Settings(
            client=client,
            initial_values={
                codes.INITIAL_WINDOW_SIZE: window,
                codes.ENABLE_CONNECT_PROTOCOL: 1,
                codes.MAX_CONCURRENT_STREAMS: most_streams,
            },
        )
        self.h2.initiate_connection()
        self.heard: dict[int, Heard] = {}
        self.goaways: list[tuple[int, int]] = []
        self.acknowledges = True
        self.pings = 0
        self.acknowledged = 0  # PINGs of ours

    @classmethod
    async def greet(cls, peer: Peer, *, client: bool = True, window: int = 65_535) -> H2Peer:
        """Begin to speak HTTP/2 on a connection."""
        made = cls(peer, client=client, window=window)
        await made.flush()
        return made

    async def flush(self) -> None:
        """Send what is to be sent."""
        await self.peer.say(self.h2.data_to_send())

    async def ask(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        ended: bool = True,
    ) -> int:
        """Begin a request, to its end unless it has not `ended`; returns the stream's number."""
        number = self.h2.get_next_available_stream_id()
        fields: Fields = [(":method", method), (":scheme", "http"), (":path", path)]
        fields = [*fields, (":authority", "a.org"), *(headers or {}).items()]
        await self.begin(number, fields, body=body, ended=ended)
        return number

    async def begin(
        self, number: int, fields: Fields, *, body: bytes | None = None, ended: bool = True
    ) -> None:
        """Send a head, and a body behind it."""
        self.heard.setdefault(number, Heard())
        self.h2.send_headers(number, fields, end_stream=ended and body is None)
        if body is not None:
            self.h2.send_data(number, body, end_stream=ended)
        await self.flush()

    async def respond(
        self,
        number: int,
        body: bytes | None = None,
        *,
        status: str = "200",
        headers: Mapping[str, str] | None = None,
        ended: bool = True,
    ) -> None:
        """Answer a stream."""
        fields = [(":status", status), *(headers or {}).items()]
        await self.begin(number, fields, body=body, ended=ended)

    async def data(self, number: int, data: bytes, *, ended: bool = False) -> None:
        """Send a piece of a body, as fast as the windows allow."""
        while data or ended:
            room = min(
                self.h2.local_flow_control_window(number),
                self.h2.max_outbound_frame_size,
                len(data),
            )
            if data and not room:
                await self.more()
                continue
            piece, data = data[:room], data[room:]
            self.h2.send_data(number, piece, end_stream=ended and not data)
            await self.flush()
            if not data:
                return

    async def pour(self, number: int, most: int) -> int:
        """Send a body until no more is taken, at most so many bytes; returns how many."""
        sent = 0
        while sent < most:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if room:
                self.h2.send_data(number, bytes(room))
                await self.flush()
                sent += room
                continue
            await trio.testing.wait_all_tasks_blocked(0.01)
            await self.catch_up()
            if not self.h2.local_flow_control_window(number):
                break
        return sent

    async def trailers(self, number: int, trailers: Mapping[str, str]) -> None:
        """End a stream with the fields behind its body."""
        self.h2.send_headers(number, list(trailers.items()), end_stream=True)
        await self.flush()

    async def reset(self, number: int, code: int = 8) -> None:
        """Reset a stream."""
        self.h2.reset_stream(number, code)
        await self.flush()

    async def answer(self, number: int) -> Heard:
        """Return what came on a stream when it has come to its end."""
        heard = self.heard.setdefault(number, Heard())
        await self.until(lambda: heard.ended or heard.reset is not None)
        return heard

    async def asked(self, *, ended: bool = True) -> tuple[int, Heard]:
        """Return the next stream that was not returned before."""
        known = {number for number, heard in self.heard.items() if heard.headers.get("taken")}

        def fresh() -> list[int]:
            return [
                number
                for number, heard in self.heard.items()
                if number not in known and heard.headers and (heard.ended or not ended)
            ]

        await self.until(lambda: bool(fresh()))
        number = fresh()[0]
        self.heard[number].headers["taken"] = "yes"
        return number, self.heard[number]

    async def until(self, come: Callable[[], bool]) -> None:
        """Hear until `come` says so; raises AssertionError where nothing more comes."""
        with trio.fail_after(PATIENCE):
            while not come():
                assert await self.more(), f"closed: {self.heard} {self.goaways}"

    async def more(self) -> bool:
        """Hear more; False at the end."""
        if not await self.peer.more():
            return False
        await self._hear()
        return True

    async def catch_up(self) -> None:
        """Hear what has come by now."""
        self.peer.unasked()
        await self._hear()

    async def _hear(self) -> None:
        for frame in self._frames():
            for event in self.h2.receive_data(frame):
                self._note(event)
        await self.flush()

    def _frames(self) -> Iterator[bytes]:
        """Take the frames that are whole, one by one: see GOAWAY in `_note`."""
        heard = self.peer.heard
        if not self._greeted and not self.client:
            if len(heard) < len(PREFACE):
                return
            self._greeted = True
            yield self.peer.take(len(PREFACE))
        while len(heard) >= 9 and len(heard) >= (size := 9 + int.from_bytes(heard[:3])):
            yield self.peer.take(size)

    async def end(self) -> str:
        """Return how the connection ends."""
        while await self.more():
            pass
        return self.peer.end

    def _note(self, event: h2.events.Event) -> None:
        number = getattr(event, "stream_id", None) or 0
        heard = self.heard.setdefault(number, Heard())
        match event:
            case h2.events.InformationalResponseReceived():
                heard.interim.append(dict(event.headers)[":status"])
            case h2.events.RequestReceived() | h2.events.ResponseReceived():
                heard.headers = dict(event.headers)
            case h2.events.DataReceived():
                heard.body += event.data
                if self.acknowledges:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, number)
            case h2.events.TrailersReceived():
                heard.trailers = dict(event.headers)
            case h2.events.StreamEnded():
                heard.ended = True
            case h2.events.StreamReset():
                heard.reset = event.error_code
            case h2.events.ConnectionTerminated():
                self.goaways.append((event.last_stream_id, int(event.error_code)))
                # hyper-h2 takes it for the end, though running streams go on.
                state = h2.connection.ConnectionState
                going = state.CLIENT_OPEN if self.client else state.SERVER_OPEN
                self.h2.state_machine.state = going
            case h2.events.PingReceived():
                self.pings += 1
            case h2.events.PingAckReceived():
                self.acknowledged += 1
            case _:
                pass
