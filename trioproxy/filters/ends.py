"""Bytes in both directions where one end or both are streams of HTTP/2: two tasks copy them.

Between two sockets the reactor moves them itself (`trioproxy.filters.relay`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from trioproxy.drain.lifetime import Rung
from trioproxy.errors import ProxyError, first_failure
from trioproxy.filters.goodbye import TIME_FOR_IT
from trioproxy.reactor.flow import COPY_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.codec.websocket import FrameTracker
    from trioproxy.drain.lifetime import Lifetime
    from trioproxy.filters.goodbye import Goodbye
    from trioproxy.reactor.pump import Progress
    from trioproxy.reactor.transport import Transport
    from trioproxy.wire.stream import Stream


class End:
    """One of the two."""

    async def receive(self) -> bytes:
        """Return what it says, empty at the end; raises ProxyError."""
        raise NotImplementedError

    async def send(self, data: bytes) -> None:
        """Tell it something; raises ProxyError."""
        raise NotImplementedError

    async def finish(self) -> None:
        """Tell it that nothing more will come; raises ProxyError."""
        raise NotImplementedError


class TransportEnd(End):
    """A socket, and what was received from it before; `lost` is raised where it fails."""

    def __init__(self, transport: Transport, held: bytes, lost: type[ProxyError]) -> None:
        self._transport = transport
        self._held = held
        self._lost = lost

    def __repr__(self) -> str:
        return f"<TransportEnd {self._transport}>"

    async def receive(self) -> bytes:
        """Return what it says, empty at the end."""
        held, self._held = self._held, b""
        if held:
            return held
        try:
            return await self._transport.receive(COPY_SIZE)
        except OSError as error:
            raise self._lost(error.strerror or str(error)) from error

    async def send(self, data: bytes) -> None:
        """Tell it something."""
        try:
            await self._transport.send(data)
        except OSError as error:
            raise self._lost(error.strerror or str(error)) from error

    async def finish(self) -> None:
        """Close it for writing."""
        await self._transport.finish()


class StreamEnd(End):
    """A stream of HTTP/2."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __repr__(self) -> str:
        return f"<StreamEnd {self._stream}>"

    async def receive(self) -> bytes:
        """Return what it says, empty at the end."""
        return await self._stream.body.read()

    async def send(self, data: bytes) -> None:
        """Tell it something."""
        await self._stream.send(data)

    async def finish(self) -> None:
        """End the stream in this direction."""
        await self._stream.send(b"", ended=True)


class Copying:
    """One direction; with a `tracker` of its frames it can be asked to `part`, by `last_words`."""

    def __init__(
        self,
        source: End,
        sink: End,
        progress: Callable[[int], None],
        tracker: FrameTracker | None = None,
        last_words: bytes = b"",
    ) -> None:
        self._source = source
        self._sink = sink
        self._progress = progress
        self._tracker = tracker
        self._last_words = last_words
        self._parting = False
        self._hearing: trio.CancelScope | None = None

    def __repr__(self) -> str:
        return f"<Copying from {self._source} to {self._sink}>"

    def part(self) -> None:
        """Have it end at the end of a frame."""
        self._parting = True
        if self._hearing is not None:
            self._hearing.cancel()

    async def run(self) -> None:
        """Copy until the source ends, and pass that on; raises ProxyError."""
        while (data := await self._hear()) is not None:
            if not data:
                await self._sink.finish()
                return
            await self._pass_on(data)
        with suppress(ProxyError):  # who is gone has no need of it
            await self._say_goodbye()

    async def _hear(self) -> bytes | None:
        """Return what the source says; None where it is time to part."""
        if self._parting:
            return None
        with trio.CancelScope() as self._hearing:
            return await self._source.receive()
        return None

    async def _pass_on(self, data: bytes) -> None:
        await self._sink.send(data)
        self._progress(len(data))
        if self._tracker is not None:
            self._tracker.feed(data)

    async def _say_goodbye(self) -> None:
        """Send what is left of a frame and the last words; then hear the source out."""
        assert self._tracker is not None
        data = b""
        while not self._tracker.boundary:
            data = data or await self._source.receive()
            if not data:
                break
            size = self._tracker.left or 1  # a header's length shows as it comes
            await self._pass_on(data[:size])
            data = data[size:]
        else:
            await self._sink.send(self._last_words)
        await self._sink.finish()
        while await self._source.receive():
            pass


async def join(
    client: End, upstream: End, progress: Progress, lifetime: Lifetime, goodbye: Goodbye | None
) -> None:
    """Let bytes flow between both, to the end of both directions; `progress` counts them.

    With a `goodbye` both are told before the end of `lifetime`. Raises the ProxyError of the first
    one that fails.
    """

    def went_forth(count: int) -> None:
        progress(count, 0)

    def came_back(count: int) -> None:
        progress(0, count)

    if goodbye is None:
        forth = Copying(client, upstream, went_forth)
        back = Copying(upstream, client, came_back)
    else:
        to_upstream, to_client = goodbye.words()
        forth = Copying(client, upstream, went_forth, goodbye.forth, to_upstream)
        back = Copying(upstream, client, came_back, goodbye.back, to_client)
        for each in (forth, back):
            lifetime.alarm(each.part, Rung.LIFE, TIME_FOR_IT)
    with first_failure():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(forth.run)
            nursery.start_soon(back.run)
