"""A proxy in the test's own process, and upstreams that speak HTTP."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import trio

from trioproxy import testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    Handler = Callable[[trio.SocketStream, str, bytes], Awaitable[None]]


class Proxy:
    """A proxy under test, with what many tests ask of it."""

    def __init__(self, proxy: testing.Proxy) -> None:
        self._proxy = proxy
        self.url = proxy.url
        self.connect = proxy.connect
        self.drain = proxy.serving.drain

    async def ask(self, request: str = "GET / HTTP/1.1\r\nhost: x\r\n", body: str = "") -> str:
        """Send a request on a connection of its own; returns all that comes back."""
        async with await self.connect() as stream:
            await stream.send_all(f"{request}connection: close\r\n\r\n{body}".encode())
            return b"".join([data async for data in stream]).decode()

    def counter(self, name: str) -> int:
        """Return a counter's or a gauge's value, 0 where there is none."""
        stats = self._proxy.stats()
        return {**stats.counters, **stats.gauges}.get(name, 0)


@asynccontextmanager
async def open_proxy(
    source: Path | str, upstreams: Mapping[str, int] | None = None
) -> AsyncIterator[Proxy]:
    """Serve a configuration, a file or its text, on free ports; see `trioproxy.testing`."""
    async with testing.open_proxy(source, upstreams) as proxy:
        yield Proxy(proxy)


@asynccontextmanager
async def open_upstream(handler: Handler) -> AsyncIterator[int]:
    """Serve HTTP, one request per connection; yields the port.

    `handler(stream, head, body)` writes the whole answer.
    """

    async def serve(stream: trio.SocketStream) -> None:
        received = b""
        with suppress(trio.BrokenResourceError):  # a proxy cuts what it could not send
            async for data in stream:
                received += data
                head, end, body = received.partition(b"\r\n\r\n")
                if end and is_whole(head, body):
                    await handler(stream, head.decode(), body)
                    return

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def is_whole(head: bytes, body: bytes) -> bool:
    """Tell whether all of a request's body is here."""
    lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if lines.get(b"transfer-encoding") == b"chunked":
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(lines.get(b"content-length", 0))


async def say(
    stream: trio.SocketStream, body: str, *, status: str = "200 OK", headers: str = ""
) -> None:
    """Write a response and its body at once."""
    length = f"content-length: {len(body.encode())}\r\n"
    head = f"HTTP/1.1 {status}\r\n{headers}{length}connection: close\r\n\r\n"
    await stream.send_all(f"{head}{body}".encode())
