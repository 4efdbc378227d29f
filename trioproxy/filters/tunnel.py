"""A tunnel: after an upgrade or a CONNECT an exchange is bytes in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.drain.lifetime import Stand
from trioproxy.errors import DownstreamClosed, UpstreamReset
from trioproxy.filters.ends import StreamEnd, TransportEnd, join
from trioproxy.filters.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.accesslog.record import Record
    from trioproxy.drain.lifetime import Lifetime
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.ends import End
    from trioproxy.filters.goodbye import Goodbye
    from trioproxy.filters.offer import Offer
    from trioproxy.filters.tools import Tools
    from trioproxy.reactor.pump import Progress
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.upstream.http2_stream import UpstreamStream


class Tunnel:
    """The body of a response that switches protocols: what is left of the way to the upstream.

    A WebSocket has a `goodbye`.
    """

    __slots__ = ("goodbye", "idle_timeout")

    def __init__(self, idle_timeout: float, goodbye: Goodbye | None = None) -> None:
        self.idle_timeout = idle_timeout
        self.goodbye = goodbye

    async def run(
        self,
        client: Connection,
        record: Record,
        tools: Tools,
        count: Progress,
        describe: Callable[[], Offer],
        *,
        said: bytes,
    ) -> None:
        """Let the bytes flow, what the client `said` already first, to the end of both directions.

        Or until the next generation has taken what `describe` offers. Raises DownstreamClosed,
        UpstreamReset.
        """
        raise NotImplementedError

    async def join(self, client: End, lifetime: Lifetime, record: Record) -> None:
        """Let them flow to a client that is no socket; raises DownstreamClosed, UpstreamReset."""
        raise NotImplementedError

    def _progress(self, lifetime: Lifetime, record: Record, *counts: Progress) -> Progress:
        lifetime.stand(Stand.FLOW, self.idle_timeout)

        def progress(forth: int, back: int) -> None:
            lifetime.touch()
            record.bytes_received += forth
            record.bytes_sent += back
            for count in counts:
                count(forth, back)

        return progress


class SocketTunnel(Tunnel):
    """A connection to the upstream that is ours alone.

    `held` was received from it behind its response head.
    """

    __slots__ = ("connection", "held")

    def __init__(
        self,
        connection: UpstreamConnection,
        held: bytes,
        idle_timeout: float,
        goodbye: Goodbye | None = None,
    ) -> None:
        super().__init__(idle_timeout, goodbye)
        self.connection = connection
        self.held = held

    async def run(
        self,
        client: Connection,
        record: Record,
        tools: Tools,
        count: Progress,
        describe: Callable[[], Offer],
        *,
        said: bytes,
    ) -> None:
        """Have the reactor move the bytes from socket to socket."""
        client.protocol = "tunnel" if self.goodbye is None else "WebSocket"
        relay = Relay(
            client,
            self.connection,
            tools,
            self._progress(client.lifetime, record, count, self._count),
            describe,
            forth=said,
            back=self.held,
            goodbye=self.goodbye,
        )
        await relay.run()

    async def join(self, client: End, lifetime: Lifetime, record: Record) -> None:
        """Copy the bytes between the client's stream and the socket."""
        progress = self._progress(lifetime, record, self._count)
        upstream = TransportEnd(self.connection.transport, self.held, UpstreamReset)
        await join(client, upstream, progress, lifetime, self.goodbye)

    def _count(self, forth: int, back: int) -> None:
        stats = self.connection.cluster.stats
        stats.upstream_cx_tx_bytes_total.add(forth)
        stats.upstream_cx_rx_bytes_total.add(back)


class StreamTunnel(Tunnel):
    """A stream of an HTTP/2 connection to the upstream; it stays where it is at a hand-over."""

    __slots__ = ("_stream",)

    def __init__(
        self, stream: UpstreamStream, idle_timeout: float, goodbye: Goodbye | None = None
    ) -> None:
        super().__init__(idle_timeout, goodbye)
        self._stream = stream

    async def run(
        self,
        client: Connection,
        record: Record,
        tools: Tools,
        count: Progress,
        describe: Callable[[], Offer],
        *,
        said: bytes,
    ) -> None:
        """Copy the bytes between the client's socket and the stream."""
        progress = self._progress(client.lifetime, record, count)
        end = TransportEnd(client.transport, said, DownstreamClosed)
        await join(end, StreamEnd(self._stream), progress, client.lifetime, self.goodbye)

    async def join(self, client: End, lifetime: Lifetime, record: Record) -> None:
        """Copy the bytes from stream to stream."""
        progress = self._progress(lifetime, record)
        await join(client, StreamEnd(self._stream), progress, lifetime, self.goodbye)
