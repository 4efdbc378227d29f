"""The ends between which bytes are copied where one of them is a stream."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import trio
import trio.testing
from dialogue import PATIENCE

from trioproxy.errors import DownstreamClosed
from trioproxy.filters.ends import TransportEnd
from trioproxy.reactor.running import open_reactor
from trioproxy.reactor.tls import TlsTransport
from trioproxy.reactor.transport import Transport

if TYPE_CHECKING:
    from certificates import Authority


async def test_the_end_waits_for_what_comes_before_it(authority: Authority) -> None:
    """The goodbye of TLS: FIN alone would say that it was cut."""
    peer, ours = socket.socketpair()
    server, client = authority.server(authority.issue("example.org")), authority.client()
    peer.setblocking(False)
    raw = trio.SocketStream(trio.socket.from_stdlib_socket(peer))
    async with open_reactor() as reactor:
        transport = TlsTransport(Transport(reactor, ours), server, server=True)
        secure = trio.SSLStream(raw, client, server_hostname="example.org")
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(secure.do_handshake)
                nursery.start_soon(transport.handshake, trio.Semaphore(1))
            with suppress(BlockingIOError):
                while ours.send(bytes(4096)):
                    pass
            async with trio.open_nursery() as nursery:
                nursery.start_soon(TransportEnd(transport, b"", DownstreamClosed).finish)
                await trio.testing.wait_all_tasks_blocked()
                while await raw.receive_some(65536):
                    pass
        transport.close()
    peer.close()
