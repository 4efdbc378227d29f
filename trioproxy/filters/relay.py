"""Bytes between a client and a host, in both directions: what `tcp_proxy` and tunnels do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.errors import DownstreamClosed, UpstreamReset
from trioproxy.reactor.flow import Flow
from trioproxy.reactor.pump import Pump

if TYPE_CHECKING:
    from trioproxy.filters.connection import Connection
    from trioproxy.reactor.pipes import PipePool
    from trioproxy.reactor.pump import Progress
    from trioproxy.reactor.transport import Transport


async def relay(
    client: Connection,
    host: Transport,
    pipes: PipePool,
    progress: Progress,
    *,
    forth: bytes = b"",
    back: bytes = b"",
) -> None:
    """Let bytes flow, `forth` and `back` first, until both directions have ended.

    A host that has said all may close on what the client still says: then the client gets its
    last words, and this ends well. Raises DownstreamClosed or UpstreamReset, by whose socket fails.
    """
    upward = Flow(client.transport, host, held=forth)
    downward = Flow(host, client.transport, held=back)
    pump = Pump([upward, downward], pipes, progress)
    try:
        await pump.run()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if pump.broken is client.transport:
            raise DownstreamClosed(reason) from error
        if not downward.ended:
            raise UpstreamReset(reason) from error
        await client.linger()
