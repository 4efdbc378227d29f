"""Clients that speak TLS to a proxy under test."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from dialogue import PATIENCE, Peer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from certificates import Pair
    from serving import Proxy

    Stream = trio.SSLStream[trio.SocketStream]

GET = b"GET / HTTP/1.1\r\nhost: example.org\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: example.org\r\nconnection: close\r\n\r\n"


def terms(pair: Pair, more: str = "") -> str:
    """Return a listener's `tls`, in flow style."""
    return f"tls: {{certificate: {pair.certificate}, private_key: {pair.private_key}, {more}}}"


@asynccontextmanager
async def secured(
    proxy: Proxy, context: ssl.SSLContext, name: str = "example.org", *, first: bytes = b""
) -> AsyncIterator[Stream]:
    """Connect to the first listener, say what comes `first`, and shake hands."""
    stream = await trio.open_tcp_stream(*next(iter(proxy.addresses.values())))
    await stream.send_all(first)
    secure = trio.SSLStream(stream, context, server_hostname=name)
    with trio.fail_after(PATIENCE):
        try:
            await secure.do_handshake()
            yield secure
        finally:
            await trio.aclose_forcefully(secure)


async def ask(secure: Stream, request: bytes = LAST) -> bytes:
    """Send a request; returns what comes back until the close_notify, which has to come."""
    await secure.send_all(request)
    return b"".join([piece async for piece in secure])


class SecurePeer(Peer):
    """A peer of the dialogues whose connection speaks TLS."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream.transport_stream.socket)
        self.stream = stream

    async def say_slowly(self, data: bytes) -> None:
        """Send all of it."""
        await self.stream.send_all(data)

    async def more(self, patience: float = PATIENCE) -> bool:
        """Hear more; False at the end, which is then in `end`."""
        if self.end:
            return False
        try:
            with trio.fail_after(patience):
                data = await self.stream.receive_some()
        except trio.BrokenResourceError:
            self.end = "(reset)"
            return False
        self.heard += data
        self.end = "" if data else "(fin)"
        return bool(data)
