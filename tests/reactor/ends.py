"""The ends of connections under test: real sockets, over loopback TCP or Unix."""

from __future__ import annotations

import socket
from array import array
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import TYPE_CHECKING

import attrs
import trio
import trio.testing

from trioproxy.reactor.flow import Flow
from trioproxy.reactor.pipes import PipePool
from trioproxy.reactor.pump import Pump
from trioproxy.reactor.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from trioproxy.reactor.epoll import Reactor
    from trioproxy.reactor.pump import Progress


def tcp_pair(buffer: int = 0) -> tuple[socket.socket, socket.socket]:
    """A loopback connection; `buffer` bounds what the kernel holds for each end, roughly."""
    with socket.socket() as listening:
        if buffer:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        client = socket.socket()
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        client.connect(listening.getsockname())
        accepted, _ = listening.accept()
    return client, accepted


def unix_pair(buffer: int = 0) -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair()
    for sock in pair if buffer else ():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    return pair


PATIENCE = 20
PAIRS = {"tcp": tcp_pair, "unix": unix_pair}


def stream(sock: socket.socket) -> trio.SocketStream:
    sock.setblocking(False)
    return trio.SocketStream(trio.socket.from_stdlib_socket(sock))


def reset(end: trio.SocketStream) -> None:
    """Close with a RST (TCP), so that the other end gets ECONNRESET."""
    end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    end.socket.close()


@contextmanager
def one(
    reactor: Reactor, kind: str = "tcp", buffer: int = 0
) -> Iterator[tuple[socket.socket, Transport]]:
    """A peer's socket and our transport."""
    peer, ours = PAIRS[kind](buffer)
    transport = Transport(reactor, ours)
    try:
        yield peer, transport
    finally:
        peer.close()
        transport.close()


@attrs.define
class Relay:
    """client == down | up == server, with a pump in the middle."""

    client: trio.SocketStream
    server: trio.SocketStream
    down: Transport
    up: Transport
    pipes: PipePool
    forth: Flow
    back: Flow

    def pump(self, progress: Progress | None = None) -> Pump:
        return Pump([self.forth, self.back], self.pipes, progress)

    def unattached(self) -> bool:
        return not any(each.pump or each.waiter or each.writer for each in (self.down, self.up))


@asynccontextmanager
async def open_relay(
    reactor: Reactor, kind: str = "tcp", buffer: int = 0, pipes: int = 4
) -> AsyncIterator[Relay]:
    client, down = PAIRS[kind](buffer)
    server, up = PAIRS[kind](buffer)
    with PipePool(pipes) as pool:
        one, other = Transport(reactor, down), Transport(reactor, up)
        relay = Relay(
            stream(client), stream(server), one, other, pool, Flow(one, other), Flow(other, one)
        )
        try:
            with trio.fail_after(PATIENCE):
                yield relay
            assert relay.unattached()
            assert relay.forth.pipe is None
            assert relay.back.pipe is None
        finally:
            relay.client.socket.close()
            relay.server.socket.close()
            one.close()
            other.close()


async def read_all(end: trio.SocketStream, slowly: int = 0) -> bytes:
    """Everything until the end of the stream; `slowly`: so many bytes at a time."""
    data = bytearray()
    while piece := await end.receive_some(slowly or 65536):
        data += piece
        if slowly:
            await trio.lowlevel.checkpoint()
    return bytes(data)


async def turns(count: int = 20) -> None:
    """Let everybody else run for a while."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()
    await trio.testing.wait_all_tasks_blocked()


@cache
def stuff(length: int) -> bytes:
    """Bytes at which a lost, doubled or swapped piece shows."""
    return array("I", range(length // 4 + 1)).tobytes()[:length]
