"""What a connection manager lends its HTTP filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from trioproxy.codec.h1 import Codec
    from trioproxy.filters.http.routing import RouteTable
    from trioproxy.filters.tools import Tools
    from trioproxy.stats.downstream import HttpStats


@attrs.frozen
class HttpTools:
    """The worker's tools, and the connection manager's codec, routes, statistics and timeouts.

    `scope` is what the names of an HTTP filter's own statistics start with: `http.<stat_prefix>`.
    """

    worker: Tools
    codec: Codec
    routes: RouteTable
    stats: HttpStats
    scope: str
    upgrades: frozenset[str]
    tunnel_idle_timeout: float
    websocket_close_code: int
