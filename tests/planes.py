"""A whole data plane in the test's own process, and upstreams for it."""

from __future__ import annotations

import socket
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.accesslog.origin import Origin
from trioproxy.config.address import Address
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.loader import load
from trioproxy.filters.registry import REGISTRY
from trioproxy.listener.assembly import open_plane
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from trioproxy.config.server import Config
    from trioproxy.listener.plane import Plane

    Handler = Callable[[trio.SocketStream, str, bytes], Awaitable[None]]


@attrs.frozen
class Proxy:
    """A data plane that serves; `ports` are those of its listeners."""

    ports: Mapping[str, int]
    reader: Reader
    plane: Plane

    @property
    def url(self) -> str:
        """The URL of the first listener."""
        return f"http://127.0.0.1:{next(iter(self.ports.values()))}"

    async def connect(self, listener: str | None = None) -> trio.SocketStream:
        """Connect to a listener, by default the first one."""
        port = self.ports[listener] if listener else next(iter(self.ports.values()))
        return await trio.open_tcp_stream("127.0.0.1", port)

    async def ask(self, request: str = "GET / HTTP/1.1\r\nhost: x\r\n", body: str = "") -> str:
        """Send a request on a connection of its own; returns all that comes back."""
        stream = await self.connect()
        async with stream:
            await stream.send_all(f"{request}connection: close\r\n\r\n{body}".encode())
            return b"".join([data async for data in stream]).decode()

    def counter(self, name: str) -> int:
        """Return a counter's or a gauge's value, 0 where there is none."""
        snapshot = self.reader.snapshot()
        return {**snapshot.counters, **snapshot.gauges}.get(name, 0)


@asynccontextmanager
async def open_proxy(
    source: Path | str, upstreams: Mapping[str, int] | None = None
) -> AsyncIterator[Proxy]:
    """Serve a configuration, a file or its text, on free ports.

    `upstreams` are the ports that stand in for the clusters' endpoints, by cluster; a cluster that
    is not among them has a listener of the configuration's own for an endpoint.
    """
    path, text = (source, None) if isinstance(source, Path) else (None, source)
    config = load(path, text, REGISTRY).config
    with ExitStack() as stack:
        region = stack.enter_context(Region.create())
        writer = stack.enter_context(region.claim(0, 0))
        reader = stack.enter_context(Reader(region, 0))
        sockets = {
            each.name: [stack.enter_context(socket.create_server(("127.0.0.1", 0)))]
            for each in config.listeners
        }
        ports = {name: group[0].getsockname()[1] for name, group in sockets.items()}
        config = aimed(config, ports, upstreams or {})
        async with open_plane(config, writer, Origin()) as plane:
            plane.start(sockets)
            yield Proxy(ports, reader, plane)


def aimed(config: Config, ports: Mapping[str, int], upstreams: Mapping[str, int]) -> Config:
    """Return a configuration whose clusters have the endpoints of this test."""
    own = {each.address: ports[each.name] for each in config.listeners}
    clusters = []
    for cluster in config.clusters:
        port = upstreams.get(cluster.name) or own[cluster.endpoints[0].address]
        endpoint = Endpoint(Address.parse(f"127.0.0.1:{port}"))
        clusters.append(attrs.evolve(cluster, endpoints=(endpoint,), discovery=None))
    return attrs.evolve(config, clusters=tuple(clusters))


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
