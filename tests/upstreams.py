"""Upstreams of one purpose each: listen sockets on loopback that tests stand behind the proxy."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from dialogue import Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Behaviour = Callable[[Peer], Awaitable[None]]


class Upstream:
    """A listen socket whose connections a test takes by hand."""

    def __init__(self, *, backlog: int = 128, buffer: int = 0) -> None:
        """`buffer`: the receive buffer of its connections in bytes, 0 for the kernel's."""
        sock = socket.socket()
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.bind(("127.0.0.1", 0))
        sock.listen(backlog)
        self.sock = trio.socket.from_stdlib_socket(sock)
        self.address: tuple[str, int] = sock.getsockname()
        self.name = "{}:{}".format(*self.address)
        self.peers: list[Peer] = []

    async def accept(self) -> Peer:
        """Take the next connection."""
        sock, _ = await self.sock.accept()
        peer = Peer(sock)
        self.peers.append(peer)
        return peer

    def waiting(self) -> bool:
        """Tell whether somebody has connected whom nobody took."""
        try:
            sock, _ = socket.socket.accept(self.sock._sock)
        except BlockingIOError:
            return False
        sock.close()
        return True

    def close(self) -> None:
        """Close the listen socket and every connection."""
        self.sock.close()
        for peer in self.peers:
            peer.close()

    @asynccontextmanager
    async def behaving(self, behaviour: Behaviour) -> AsyncIterator[None]:
        """Within the block, have `behaviour` treat each connection until it returns."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._treat_all, behaviour)
            yield
            nursery.cancel_scope.cancel()

    async def _treat_all(self, behaviour: Behaviour) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(self._treat, behaviour, await self.accept())

    async def _treat(self, behaviour: Behaviour, peer: Peer) -> None:
        try:
            await behaviour(peer)
        except OSError:
            pass
        finally:
            peer.close()


def refusing() -> str:
    """Return an address of loopback where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return "{}:{}".format(*sock.getsockname())


class Deaf:
    """An address where a connect gets no answer: a listen queue that is full."""

    def __init__(self) -> None:
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(0)
        self.name = "{}:{}".format(*self._listening.getsockname())
        self._queued = [self._connect() for _ in range(3)]

    def _connect(self) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(self._listening.getsockname())
        return sock

    def close(self) -> None:
        """Close everything."""
        for sock in (self._listening, *self._queued):
            sock.close()


async def echo(peer: Peer) -> None:
    """Say back what is heard, byte for byte, and end when it ends."""
    while await peer.more(60):
        await peer.say_slowly(peer.take(len(peer.heard)))
    peer.finish()


def answering(response: bytes) -> Behaviour:
    """Return what answers every bodyless request with `response`."""

    async def answer(peer: Peer) -> None:
        while True:
            while b"\r\n\r\n" not in peer.heard:
                if not await peer.more(60):
                    return
            peer.take(peer.heard.index(b"\r\n\r\n") + 4)
            await peer.say_slowly(response)

    return answer
