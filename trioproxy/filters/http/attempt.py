"""One try at a request: a connection to one host, the request up, the response down."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Self

from trioproxy.codec.websocket import FrameTracker
from trioproxy.errors import (
    PendingTimeout,
    RequestRefused,
    StaleConnection,
    UpstreamError,
    UpstreamOverflow,
)
from trioproxy.filters.goodbye import Goodbye

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from trioproxy.codec.messages import Response
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.tools import HttpTools
    from trioproxy.filters.http.upload import Upload
    from trioproxy.filters.tunnel import Tunnel
    from trioproxy.upstream.bounded import Bounded
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.host import Host
    from trioproxy.upstream.monitor import Monitor
    from trioproxy.wire.body import ArrivingBody, WholeBody

    Limit = Callable[[Bounded], None]

SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


NOT_THE_HOST = (PendingTimeout, RequestRefused, StaleConnection, UpstreamOverflow)


class Attempt:
    """A request at `host`, whatever HTTP version it speaks; leaving the block lets go of the host.

    `limit` is called with what is waited for when the request is all here. `begun` tells that it
    has a connection; `body` is set once the `response` has come.
    """

    __slots__ = (
        "_limit",
        "_started",
        "_tools",
        "begun",
        "body",
        "cluster",
        "exchange",
        "host",
        "response",
        "upload",
    )

    body: WholeBody | ArrivingBody

    def __init__(
        self,
        exchange: Exchange,
        cluster: Cluster,
        host: Host,
        upload: Upload,
        limit: Limit,
        tools: HttpTools,
    ) -> None:
        self._limit = limit
        self._tools = tools
        self._started = perf_counter()
        self.exchange = exchange
        self.cluster = cluster
        self.host = host
        self.upload = upload
        self.begun = False
        self.response: Response | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.host.name}>"

    def __enter__(self) -> Self:
        self.host.begin()
        self.cluster.stats.upstream_rq_total.add()
        self.cluster.stats.upstream_rq_active.add()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stats, response = self.cluster.stats, self.response
        stats.upstream_rq_active.add(-1)
        if self.host.monitor is not None:
            self._judge(self.host.monitor, error)
        self.leave(clean=kind is None)
        if response is not None:
            stats.responses.add(response.status)
            stats.upstream_rq_time.record((perf_counter() - self._started) * 1000)
            self.host.end(succeeded=response.status < 500)
        else:
            self.host.end(succeeded=False)
            if not self.begun and not isinstance(error, UpstreamError):
                stats.upstream_rq_cancelled.add()

    def _judge(self, monitor: Monitor, error: BaseException | None) -> None:
        """Say what the host did; that the client left, or that we are too busy, is not its doing.

        Nor does a connection say anything that it closed while nobody used it.
        """
        if isinstance(error, UpstreamError):
            if not isinstance(error, NOT_THE_HOST):
                monitor.failed()
        elif self.response is not None:
            monitor.answered(self.response.status)

    async def send(self, until: float) -> None:
        """Take a place on a connection, `until` then, and send the request.

        Raises UpstreamError, AnsweredEarly.
        """
        raise NotImplementedError

    async def finish(self) -> None:
        """Send what is left of the request, whatever the host says meanwhile."""
        raise NotImplementedError

    async def receive(self) -> Response:
        """Return the response head, and `body` is set; interim responses are passed on.

        Raises UpstreamError, or DownstreamClosed from passing one on.
        """
        raise NotImplementedError

    def unlimit(self) -> None:
        """The response head has come: nothing is waited for that the route bounds."""
        raise NotImplementedError

    def tunnel(self) -> Tunnel:
        """Return what is left of the connection once the host has switched protocols."""
        raise NotImplementedError

    def goodbye(self) -> Goodbye | None:
        """Return how a tunnel is ended, if it is a WebSocket's."""
        if self.exchange.request.upgrade.lower() != "websocket":
            return None
        return Goodbye(self._tools.websocket_close_code, FrameTracker(), FrameTracker())

    def leave(self, *, clean: bool) -> None:
        """Let go of the connection, if there is one."""
        raise NotImplementedError
