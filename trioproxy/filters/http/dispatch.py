"""Finds the route of an exchange, and takes the exchange where the route says."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trioproxy.codec.messages import Response
from trioproxy.drain.lifetime import Stand
from trioproxy.errors import NoRoute, UpstreamError, UpstreamOverflow
from trioproxy.filters.http.forward import Forwarding
from trioproxy.filters.http.hedging import HedgedForwarding
from trioproxy.filters.http.plan import Plan, Plans
from trioproxy.filters.tunnel import SocketTunnel
from trioproxy.wire.body import WholeBody

if TYPE_CHECKING:
    from trioproxy.filters.chain import Forward
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.header_operations import Change
    from trioproxy.filters.http.routing import MatchedRoute
    from trioproxy.filters.http.tools import HttpTools
    from trioproxy.upstream.cluster import Cluster


class Dispatch:
    """A `router` in service."""

    def __init__(self, tools: HttpTools) -> None:
        self._tools = tools
        self._stats = tools.stats
        self._match = tools.routes.match
        self._plans = Plans()

    async def __call__(self, exchange: Exchange, _forward: Forward[Exchange]) -> None:
        """Answer the exchange; raises ProxyError where that cannot be done."""
        request = exchange.request
        matched = self._match(request.authority, request.path, request.method, request.headers)
        if matched is None:
            self._stats.no_route.add()
            raise NoRoute("no route matches")
        exchange.record.route = matched.name
        if matched.change_response is not None:
            exchange.on_response(partial(_change_response, matched.change_response))
        if matched.pick_cluster is not None:
            await self._forward(exchange, self._plans[matched])
        else:
            await self._answer(exchange, matched)

    async def _answer(self, exchange: Exchange, matched: MatchedRoute) -> None:
        request, config = exchange.request, matched.config
        if config.redirect is not None and matched.locate is not None:
            self._stats.rq_redirect.add()
            location = matched.locate(request.scheme, request.authority, request.path)
            await exchange.respond(config.redirect.status, headers={"location": location})
        elif config.direct_response is not None:
            self._stats.rq_direct_response.add()
            await exchange.respond(config.direct_response.status, config.direct_response.body)

    async def _forward(self, exchange: Exchange, plan: Plan) -> None:
        worker = self._tools.worker
        cluster = worker.clusters[plan.pick_cluster(worker.rng)]
        exchange.record.cluster = cluster.name
        self._stats.rq_total.add()
        if plan.idle_timeout is not None:
            exchange.lifetime.stand(Stand.STREAM, plan.idle_timeout)
        if plan.changes:
            plan.change(exchange)
        try:
            await self._upstream(exchange, cluster, plan)
        except UpstreamError as failure:
            if not exchange.responded:  # what is answered for a cluster counts as its answer
                cluster.stats.responses.add(failure.answer)
            raise

    async def _upstream(self, exchange: Exchange, cluster: Cluster, plan: Plan) -> None:
        if not cluster.requests.admits:
            cluster.stats.upstream_rq_pending_overflow.add()
            raise UpstreamOverflow("too many requests to the cluster")
        cluster.requests.enter()
        try:
            if exchange.request.method == "CONNECT":
                await self._tunnel(exchange, cluster, plan)
            else:
                await forwarding(exchange, cluster, plan, self._tools).run()
        finally:
            cluster.requests.leave()

    async def _tunnel(self, exchange: Exchange, cluster: Cluster, plan: Plan) -> None:
        """Answer CONNECT: the route's cluster is what is connected to, whatever was asked for."""
        wish = plan.wish(exchange, cluster, self._tools.worker.rng)
        host = cluster.pick((), wish)
        exchange.record.upstream_host = host.name
        connection = await cluster.connect(host, client=exchange.connection.ends)
        try:
            tunnel = SocketTunnel(connection, b"", self._tools.tunnel_idle_timeout)
            await exchange.send(Response(status=200, reason="OK", bodiless=True), tunnel)
        except BaseException:
            connection.close(abort=True)
            raise
        connection.close()


def forwarding(exchange: Exchange, cluster: Cluster, plan: Plan, tools: HttpTools) -> Forwarding:
    """Return what takes the exchange to the cluster; only a request that is whole is hedged."""
    if plan.hedges and type(exchange.request_body) is WholeBody:
        return HedgedForwarding(exchange, cluster, plan, tools)
    return Forwarding(exchange, cluster, plan, tools)


async def _change_response(change: Change, exchange: Exchange) -> None:
    if exchange.response is not None:
        change(exchange.response.headers, exchange.record)
