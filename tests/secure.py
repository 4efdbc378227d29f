"""Clients that speak TLS to a proxy under test."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from dialogue import PATIENCE

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
