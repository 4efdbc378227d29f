"""A tunnel: after an upgrade or a CONNECT an exchange is bytes in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.drain.lifetime import Stand
from trioproxy.reactor.flow import Flow
from trioproxy.reactor.pump import Pump

if TYPE_CHECKING:
    from trioproxy.filters.exchange import Exchange
    from trioproxy.reactor.pipes import PipePool
    from trioproxy.reactor.pump import Progress
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.wire.reader import Reader


class Tunnel:
    """The body of a response that switches protocols: the connection to the upstream itself.

    `held` was received from the upstream behind its response head.
    """

    __slots__ = ("connection", "held", "idle_timeout")

    def __init__(self, connection: UpstreamConnection, held: bytes, idle_timeout: float) -> None:
        self.connection = connection
        self.held = held
        self.idle_timeout = idle_timeout

    async def run(
        self, exchange: Exchange, client: Reader, pipes: PipePool, count: Progress
    ) -> None:
        """Let the bytes flow until both directions have ended; raises OSError."""
        lifetime, record = exchange.connection.lifetime, exchange.record
        stats = self.connection.cluster.stats
        down, up = client.transport, self.connection.transport
        lifetime.stand(Stand.LIFE, self.idle_timeout)

        def progress(forth: int, back: int) -> None:
            lifetime.touch()
            count(forth, back)
            record.bytes_received += forth
            record.bytes_sent += back
            stats.upstream_cx_tx_bytes_total.add(forth)
            stats.upstream_cx_rx_bytes_total.add(back)

        forth = Flow(down, up, held=client.pending)
        back = Flow(up, down, held=self.held)
        client.pending = b""
        await Pump([forth, back], pipes, progress).run()
