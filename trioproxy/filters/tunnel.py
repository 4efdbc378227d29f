"""A tunnel: after an upgrade or a CONNECT an exchange is bytes in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.drain.lifetime import Stand
from trioproxy.errors import UpstreamReset
from trioproxy.filters.ends import TransportEnd, join
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


class Tunnel:
    """The body of a response that switches protocols: the connection to the upstream itself.

    `held` was received from the upstream behind its response head. A WebSocket has a `goodbye`.
    """

    __slots__ = ("connection", "goodbye", "held", "idle_timeout")

    def __init__(
        self,
        connection: UpstreamConnection,
        held: bytes,
        idle_timeout: float,
        goodbye: Goodbye | None = None,
    ) -> None:
        self.connection = connection
        self.held = held
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
        lifetime, stats = client.lifetime, self.connection.cluster.stats
        lifetime.stand(Stand.FLOW, self.idle_timeout)

        def progress(forth: int, back: int) -> None:
            lifetime.touch()
            count(forth, back)
            record.bytes_received += forth
            record.bytes_sent += back
            stats.upstream_cx_tx_bytes_total.add(forth)
            stats.upstream_cx_rx_bytes_total.add(back)

        relay = Relay(
            client,
            self.connection,
            tools,
            progress,
            describe,
            forth=said,
            back=self.held,
            goodbye=self.goodbye,
        )
        await relay.run()

    async def join(self, client: End, lifetime: Lifetime, record: Record) -> None:
        """Let bytes flow to a client that is no socket; raises DownstreamClosed, UpstreamReset."""
        stats = self.connection.cluster.stats
        lifetime.stand(Stand.FLOW, self.idle_timeout)

        def progress(forth: int, back: int) -> None:
            lifetime.touch()
            record.bytes_received += forth
            record.bytes_sent += back
            stats.upstream_cx_tx_bytes_total.add(forth)
            stats.upstream_cx_rx_bytes_total.add(back)

        upstream = TransportEnd(self.connection.transport, self.held, UpstreamReset)
        await join(client, upstream, progress)
