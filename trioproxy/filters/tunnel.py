"""A tunnel: after an upgrade or a CONNECT an exchange is bytes in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.drain.lifetime import Stand
from trioproxy.filters.relay import relay

if TYPE_CHECKING:
    from trioproxy.filters.exchange import Exchange
    from trioproxy.reactor.pipes import PipePool
    from trioproxy.reactor.pump import Progress
    from trioproxy.upstream.connection import UpstreamConnection


class Tunnel:
    """The body of a response that switches protocols: the connection to the upstream itself.

    `held` was received from the upstream behind its response head.
    """

    __slots__ = ("connection", "held", "idle_timeout")

    def __init__(self, connection: UpstreamConnection, held: bytes, idle_timeout: float) -> None:
        self.connection = connection
        self.held = held
        self.idle_timeout = idle_timeout

    async def run(self, exchange: Exchange, said: bytes, pipes: PipePool, count: Progress) -> None:
        """Let the bytes flow, what the client `said` already first, until both directions have
        ended; raises DownstreamClosed, UpstreamReset.
        """
        client, record = exchange.connection, exchange.record
        lifetime, stats = client.lifetime, self.connection.cluster.stats
        lifetime.stand(Stand.LIFE, self.idle_timeout)

        def progress(forth: int, back: int) -> None:
            lifetime.touch()
            count(forth, back)
            record.bytes_received += forth
            record.bytes_sent += back
            stats.upstream_cx_tx_bytes_total.add(forth)
            stats.upstream_cx_rx_bytes_total.add(back)

        host = self.connection.transport
        await relay(client, host, pipes, progress, forth=said, back=self.held)
