"""`router`: the terminal HTTP filter; it finds the route and takes the exchange to an upstream."""

from functools import partial
from math import inf

import attrs

from trioproxy.codec.messages import Response
from trioproxy.drain.lifetime import Stand
from trioproxy.errors import NoRoute, UpstreamOverflow
from trioproxy.filters.chain import Forward
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.http.forward import Forwarding
from trioproxy.filters.http.header_operations import Change
from trioproxy.filters.http.retry import RetryPolicy
from trioproxy.filters.http.routing import MatchedRoute
from trioproxy.filters.http.tools import HttpTools
from trioproxy.filters.tunnel import Tunnel
from trioproxy.upstream.cluster import Cluster


@attrs.frozen
class Router:
    """Route the request: to a cluster, to a redirect or to a direct response."""

    def prepare(self, tools: HttpTools) -> "Routing":
        """Return the filter."""
        return Routing(tools)


class Routing:
    """A `router` in service."""

    def __init__(self, tools: HttpTools) -> None:
        self._tools = tools
        self._routes = tools.routes
        self._policies: dict[MatchedRoute, RetryPolicy | None] = {}

    async def __call__(self, exchange: Exchange, _forward: Forward[Exchange]) -> None:
        """Answer the exchange; raises ProxyError where that cannot be done."""
        request, stats = exchange.request, self._tools.stats
        matched = self._routes.match(
            request.authority, request.path, request.method, request.headers
        )
        if matched is None:
            stats.no_route.add()
            raise NoRoute("no route matches")
        exchange.record.route = matched.name
        if matched.change_response is not None:
            exchange.on_response(partial(_change_response, matched.change_response))
        config = matched.config
        if config.route is not None:
            await self._forward(exchange, matched)
        elif config.redirect is not None and matched.locate is not None:
            stats.rq_redirect.add()
            location = matched.locate(request.scheme, request.authority, request.path)
            await exchange.respond(config.redirect.status, headers={"location": location})
        elif config.direct_response is not None:
            stats.rq_direct_response.add()
            await exchange.respond(config.direct_response.status, config.direct_response.body)

    async def _forward(self, exchange: Exchange, matched: MatchedRoute) -> None:
        worker, request = self._tools.worker, exchange.request
        action, pick = matched.config.route, matched.pick_cluster
        assert action is not None
        assert pick is not None
        cluster = worker.clusters[pick(worker.rng)]
        exchange.record.cluster = cluster.name
        self._tools.stats.rq_total.add()
        if action.idle_timeout is not None:
            exchange.connection.lifetime.stand(Stand.STREAM, action.idle_timeout or inf)
        _change_request(exchange, matched)
        if not cluster.requests.admits:
            cluster.stats.upstream_rq_pending_overflow.add()
            raise UpstreamOverflow("too many requests to the cluster")
        cluster.requests.enter()
        try:
            if request.method == "CONNECT":
                await self._tunnel(exchange, cluster)
                return
            policy = self._policy(matched)
            await Forwarding(exchange, cluster, action.timeout, policy, self._tools).run()
        finally:
            cluster.requests.leave()

    async def _tunnel(self, exchange: Exchange, cluster: Cluster) -> None:
        """Answer CONNECT: the route's cluster is what is connected to, whatever was asked for."""
        host = cluster.pick()
        exchange.record.upstream_host = host.name
        connection = await cluster.connect(host)
        try:
            tunnel = Tunnel(connection, b"", self._tools.tunnel_idle_timeout)
            await exchange.send(Response(status=200, reason="OK", bodiless=True), tunnel)
        finally:
            connection.close()

    def _policy(self, matched: MatchedRoute) -> RetryPolicy | None:
        try:
            return self._policies[matched]
        except KeyError:
            action = matched.config.route
            retry = None if action is None or action.retry is None else RetryPolicy(action.retry)
            self._policies[matched] = retry
            return retry


def _change_request(exchange: Exchange, matched: MatchedRoute) -> None:
    request, action = exchange.request, matched.config.route
    if matched.change_request is not None:
        matched.change_request(request.headers, exchange.record)
    if matched.rewrite_path is not None:
        request.path = matched.rewrite_path(request.path)
    if action is not None and action.host_rewrite is not None:
        request.authority = action.host_rewrite


async def _change_response(change: Change, exchange: Exchange) -> None:
    if exchange.response is not None:
        change(exchange.response.headers, exchange.record)
