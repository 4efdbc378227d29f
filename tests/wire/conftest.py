from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from dialogue import PATIENCE, Peer
from h2_peer import H2Peer

from trioproxy.codec.h2.codec import Codec
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.h2.server import ServerConnection
from trioproxy.reactor.running import open_reactor
from trioproxy.reactor.transport import Transport
from trioproxy.stats.region import Region
from trioproxy.wire.multiplex import Multiplex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from trioproxy.codec.h2.events import Event

    Open = Callable[..., AbstractAsyncContextManager["Served"]]


@attrs.define
class Served:
    """The serving end of a connection, and the client at the other one."""

    multiplex: Multiplex
    codec: ServerConnection
    client: H2Peer
    events: list[Event]

    async def begun(self, path: str = "/", **options: object) -> int:
        """Have the client ask, and the server hear it; returns the stream's number."""
        number = await self.client.ask("POST", path, **options)
        with trio.fail_after(PATIENCE):
            while not any(event.stream_id == number for event in self.events):
                await trio.testing.wait_all_tasks_blocked(0.001)
        return number


@asynccontextmanager
async def served(
    *, window: int = 65_535, buffer: int = 0, kind: int = socket.SOCK_STREAM
) -> AsyncIterator[Served]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    if buffer:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    events: list[Event] = []
    codec = ServerConnection(Limits(), Codec())
    with Region.create() as region, region.claim(0, 0) as writer:
        received, sent = writer.counter("received"), writer.counter("sent")
        async with open_reactor() as reactor, trio.open_nursery() as nursery:
            transport = Transport(reactor, ours)
            multiplex = Multiplex(transport, codec, events.append, received, sent)
            nursery.start_soon(multiplex.run)
            theirs.setblocking(False)
            peer = Peer(trio.socket.from_stdlib_socket(theirs))
            client = await H2Peer.greet(peer, window=window)
            await trio.testing.wait_all_tasks_blocked()
            try:
                yield Served(multiplex, codec, client, events)
            finally:
                nursery.cancel_scope.cancel()
                transport.close()
                peer.close()


@pytest.fixture
def open_served() -> Open:
    """`async with open_served() as served:` a connection that is driven."""
    return served
