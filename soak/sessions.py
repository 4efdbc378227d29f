"""Sessions that talk all the time, over TCP or WebSocket; every byte must come back in its place."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, NoReturn, Protocol

import attrs
import trio

from soak.clients import BACK_OFF, PATIENCE, patient_connect
from soak.frames import Frames, Opcode, frame
from soak.ledger import Kind, Outcome
from soak.pattern import Track, stretch
from soak.peer import ConnectFailed, Peer, Trouble, Wrong

if TYPE_CHECKING:
    from soak.ledger import Ledger

MESSAGE_BYTES = 64
EVERY = 0.02  # seconds between messages
UPGRADE = (
    b"GET /websocket HTTP/1.1\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c29ha3Nlc3Npb25zb2FrIQ==\r\n\r\n"
)


class Closing(Exception):
    """The proxy said goodbye before it closed."""


class Dialect(Protocol):
    """How messages look on the wire."""

    def wrap(self, message: bytes) -> bytes:
        """Frame a message."""

    def unwrap(self, data: bytes) -> bytes:
        """Return what came back in `data`; raises Closing."""


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
        for opcode, part in self._frames.feed(data):
            if opcode == Opcode.CLOSE:
                raise Closing(f"close frame {int.from_bytes(part[:2])}")
            payload += part
        return payload


@attrs.define(eq=False)
class Session:
    """One client that always has a session: a new one as soon as the last was lost."""

    port: int
    ledger: Ledger
    kind: Kind
    serial: int = 0  # counts the sessions that stood
    standing: bool = False

    async def run(self) -> NoReturn:
        """Talk until cancelled."""
        while True:
            try:
                with await patient_connect(self.port) as peer:
                    await self.talk(peer)
            except* Closing as closing:
                self.ledger.note(self.kind, Outcome.TOLD, closing.exceptions[0])
            except* ConnectFailed as failed:
                self.ledger.note(self.kind, Outcome.CONNECT_FAILED, failed.exceptions[0])
            except* (Trouble, ValueError) as trouble:
                self.ledger.note(self.kind, Outcome.CUT, trouble.exceptions[0])
            self.standing = False
            await trio.sleep(BACK_OFF)

    async def talk(self, peer: Peer) -> None:
        """Send and check what comes back; raises Closing, or Trouble, in a group."""
        dialect = await self.begin(peer)
        self.serial += 1
        self.standing = True
        sent: deque[float] = deque()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.send, peer, dialect, sent)
            nursery.start_soon(self.check, peer, dialect, sent)

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

    async def send(self, peer: Peer, dialect: Dialect, sent: deque[float]) -> NoReturn:
        """Send message after message, never waiting for the last one's return."""
        for number in itertools.count():
            sent.append(self.ledger.now())
            if len(sent) * EVERY > PATIENCE:
                raise Wrong(f"silent for {PATIENCE:g} s")
            await peer.send_all(dialect.wrap(stretch(number * MESSAGE_BYTES, MESSAGE_BYTES)))
            await trio.sleep(EVERY)
        raise AssertionError

    async def check(self, peer: Peer, dialect: Dialect, sent: deque[float]) -> NoReturn:
        """Follow the stream that comes back."""
        track, returned = Track(), 0
        while True:
            if not track.follow(dialect.unwrap(await peer.receive())):
                raise Wrong(f"wrong bytes after {track.position}")
            while (returned + 1) * MESSAGE_BYTES <= track.position:
                returned += 1
                self.ledger.answered(self.kind, sent.popleft())


def standing(sessions: list[Session], kind: Kind) -> set[tuple[int, int]]:
    """The sessions that stand, so that it can be told who still does later."""
    return {
        (number, session.serial)
        for number, session in enumerate(sessions)
        if session.kind is kind and session.standing
    }
