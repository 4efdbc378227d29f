"""A transport without a socket, for tests: its peer says what it was given to say."""

from __future__ import annotations

from trio.lowlevel import checkpoint

from trioproxy.reactor.transport import Transport


class Wire(Transport):
    """The peer says its pieces, one to each `receive`, then ends; what it is sent is `heard`.

    A subclass, though it shares nothing but the type: a compiled `Connection` takes no other.
    """

    __slots__ = ("_said", "heard")

    def __init__(self, *said: bytes) -> None:
        self._said = list(said)
        self.heard = b""
        self.fd = -1
        self.hangup = False

    async def receive(self, size: int = 0) -> bytes:
        """Return the next piece, whatever its size; empty at the end."""
        await checkpoint()
        return self._said.pop(0) if self._said else b""

    async def send(self, data: bytes | memoryview) -> None:
        """Have the peer hear something."""
        await checkpoint()
        self.heard += data
