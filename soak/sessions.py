"""Sessions that talk all the time, over TCP or WebSocket; every byte must come back in place."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from typing import TYPE_CHECKING, NoReturn, Protocol

import attrs
import trio

from soak.clients import BACK_OFF, PATIENCE, patient_connect
from soak.frames import KEY, Frames, Opcode, frame
from soak.ledger import Kind, Outcome
from soak.pattern import Track, stretch
from soak.peer import Ended, Peer, Trouble, Wrong

if TYPE_CHECKING:
    from soak.ledger import Ledger

MESSAGE_BYTES = 64
UPGRADE = (
    b"GET /websocket HTTP/1.1\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % KEY
)


class Closing(Exception):
    """The proxy said goodbye before it closed."""


class Dialect(Protocol):
    """How messages look on the wire."""

    def wrap(self, message: bytes) -> bytes:
        """Frame a message."""

    def unwrap(self, data: bytes) -> bytes:
        """Return what came back in `data`; raises Closing and Wrong."""


class Plain:
    """Bytes as they are."""

    def wrap(self, message: bytes) -> bytes:
        return message

    def unwrap(self, data: bytes) -> bytes:
        return data


class WebSocket:
    """Binary frames."""

    def __init__(self) -> None:
        self._frames = Frames()

    def wrap(self, message: bytes) -> bytes:
        return frame(message, masked=True)

    def unwrap(self, data: bytes) -> bytes:
        payload = b""
        try:
            for opcode, part in self._frames.feed(data):
                if opcode == Opcode.CLOSE:
                    raise Closing(f"close frame {int.from_bytes(part[:2])}")
                payload += part
        except ValueError as error:
            raise Wrong(str(error)) from None
        return payload


@attrs.define(eq=False)
class Session:
    """One client that always has a session: a new one as soon as the last was lost."""

    port: int
    ledger: Ledger
    kind: Kind
    gap: float  # seconds between messages
    serial: int = 0  # counts the sessions that stood
    standing: bool = False

    async def run(self, delay: float = 0) -> NoReturn:
        """Talk until cancelled, some seconds after the others so that not all talk at once."""
        await trio.sleep(delay)
        while True:
            outcome, detail = await self.use()
            self.ledger.note(self.kind, outcome, detail)
            await trio.sleep(BACK_OFF)

    async def use(self) -> tuple[Outcome, str]:
        """Have one session; returns how it ended."""
        try:
            with await patient_connect(self.port) as peer:
                await self.talk(peer)
        except Closing as closing:
            return Outcome.TOLD, str(closing)
        except Ended as ended:
            return (Outcome.CLOSED if self.standing else Outcome.FAILED), str(ended)
        except Trouble as trouble:
            return Outcome.FAILED, str(trouble)
        finally:
            self.standing = False

    async def talk(self, peer: Peer) -> NoReturn:
        """Send message after message, never waiting for the last one's return, and check all.

        Raises Closing or Trouble.
        """
        dialect, track = await self.begin(peer), Track()
        self.serial += 1
        self.standing = True
        asked: deque[float] = deque()  # when, for each message that has not yet returned
        for number in itertools.count():
            asked.append(self.ledger.now())
            if len(asked) * self.gap > PATIENCE:
                raise Wrong(f"silent for {PATIENCE:g} s")
            message = stretch(number * MESSAGE_BYTES, MESSAGE_BYTES)
            with contextlib.suppress(Ended):  # a goodbye may stand to be read
                await peer.send_all(dialect.wrap(message))
            with trio.move_on_after(self.gap):
                while True:
                    data = dialect.unwrap(await peer.receive())
                    if not track.follow(data):
                        raise Wrong(f"wrong bytes after {track.position}")
                    while len(asked) > number + 1 - track.position // MESSAGE_BYTES:
                        self.ledger.answered(self.kind, asked.popleft())
        raise AssertionError("count() ended")

    async def begin(self, peer: Peer) -> Dialect:
        """Upgrade the connection where that is to be done; raises Trouble."""
        if self.kind is Kind.TCP:
            return Plain()
        with trio.move_on_after(PATIENCE):
            await peer.send_all(UPGRADE)
            head = await peer.head()
            if head.status != 101:
                raise Wrong(f"upgrade answered with {head.status}")
            return WebSocket()
        raise Wrong("upgrade not answered")


def standing(sessions: list[Session], kind: Kind) -> set[tuple[int, int]]:
    """The sessions that stand, so that it can be told who still does later."""
    return {
        (number, session.serial)
        for number, session in enumerate(sessions)
        if session.kind is kind and session.standing
    }
