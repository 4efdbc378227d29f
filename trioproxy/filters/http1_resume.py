"""A tunnel that the previous generation began goes on here."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from trioproxy.accesslog.record import Record
from trioproxy.codec.websocket import FrameTracker
from trioproxy.errors import ProxyError
from trioproxy.filters.goodbye import Goodbye
from trioproxy.filters.http1_response import ResponseWriter
from trioproxy.filters.offer import to_bytes
from trioproxy.filters.tunnel import SocketTunnel
from trioproxy.wire.reader import HEAD_END

if TYPE_CHECKING:
    from trioproxy.filters.handover import Inheritance
    from trioproxy.filters.http1 import Http1Connection


async def resume(client: Http1Connection, inheritance: Inheritance) -> None:
    """Go on to the end; raises DownstreamClosed, UpstreamReset. It is logged at its end, here."""
    offer, manager = inheritance.offer, client.manager
    cluster = manager.tools.clusters[offer.cluster]
    host = cluster.host_named(offer.host)
    assert host is not None
    upstream = cluster.adopt(host, inheritance.take_socket())
    frames = [FrameTracker.at(state) for state in offer.frames]
    goodbye = Goodbye(manager.config.websocket_close_code, *frames) if frames else None
    tunnel = SocketTunnel(upstream, to_bytes(offer.back), manager.tunnel_idle_timeout, goodbye)
    record = Record.of(offer.facts, perf_counter())
    head = to_bytes(offer.head)
    record.request = manager.codec.parse_request(head.removesuffix(HEAD_END))
    manager.stats.downstream_rq_active.add()
    try:
        await ResponseWriter(client).tunnel(tunnel, record, to_bytes(offer.forth), head)
    except ProxyError as error:
        record.flag(error.flag)
        client.transport.abort()
        upstream.close(abort=True)
    finally:
        upstream.close()
        manager.conclude(record, client.connection)
