"""Finds the route of a request: virtual host by authority, then the first route that matches.

All of it is pure and made at the start; a request costs a lookup and the tests of the routes that
stand before its own.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from trioproxy.accesslog.origin import NOWHERE, Origin
from trioproxy.config.headers import UNCHANGED, HeaderOperations
from trioproxy.filters.http.header_operations import Change, compile_operations
from trioproxy.filters.http.rewrite import (
    Locate,
    Rewrite,
    compile_redirect,
    compile_rewrite,
    split_port,
)
from trioproxy.filters.http.route_match import Test, compile_match

if TYPE_CHECKING:
    from random import Random

    from trioproxy.config.route import Route, RouteAction, VirtualHost
    from trioproxy.headers import Headers

REMEMBERED = 1024
"""Authorities whose virtual host is remembered; clients make them up, so there is a bound."""


class MatchedRoute:
    """A route ready to be followed, and what it was made from.

    `config` has exactly one of `route` (then `pick_cluster` is there), `redirect` (then `locate`
    is) and `direct_response`. Any other None means: nothing to do.
    """

    def __init__(
        self,
        config: Route,
        virtual_host: str,
        *,
        pick_cluster: Callable[[Random], str] | None,
        rewrite_path: Rewrite | None,
        locate: Locate | None,
        change_request: Change | None,
        change_response: Change | None,
    ) -> None:
        self.config = config
        self.name = config.name or None
        self.virtual_host = virtual_host
        self.pick_cluster = pick_cluster
        self.rewrite_path = rewrite_path
        self.locate = locate
        self.change_request = change_request
        self.change_response = change_response


Routes = Sequence[tuple[Test, MatchedRoute]]


class RouteTable:
    """The routes of a connection manager."""

    def __init__(
        self,
        virtual_hosts: Sequence[VirtualHost],
        request_headers: HeaderOperations = UNCHANGED,
        response_headers: HeaderOperations = UNCHANGED,
        origin: Origin = NOWHERE,
    ) -> None:
        """Raises ValueError for a header value with an operator that does not exist."""
        domains: dict[str, Routes] = {}
        for host in virtual_hosts:
            requests = (request_headers, host.request_headers)
            responses = (response_headers, host.response_headers)
            routes = [
                (compile_match(route.match), _ready(route, host.name, requests, responses, origin))
                for route in host.routes
            ]
            for domain in host.domains:
                domains.setdefault(domain.lower(), routes)
        self._routes_of = lru_cache(REMEMBERED)(_compile_domains(domains))

    def match(
        self, authority: str, path: str, method: str, headers: Headers
    ) -> MatchedRoute | None:
        """Return the request's route; None where no domain or no route matches."""
        bare, _, query = path.partition("?")
        for test, route in self._routes_of(authority):
            if test(bare, query, method, headers):
                return route
        return None


def _compile_domains(domains: Mapping[str, Routes]) -> Callable[[str], Routes]:
    """Return what finds an authority's routes: exact, longest suffix, longest prefix, any.

    A domain that names a port is only for that port, any other for all.
    """
    wildcards = sorted((domain for domain in domains if "*" in domain), key=len, reverse=True)
    suffixes = [domain[1:] for domain in wildcards if domain.startswith("*") and domain != "*"]
    prefixes = [domain[:-1] for domain in wildcards if domain.endswith("*") and domain != "*"]

    def find(authority: str) -> Routes:
        authority = authority.lower()
        names = (authority, split_port(authority)[0])
        for name in names:
            if name in domains:
                return domains[name]
        for suffix in suffixes:
            if any(name.endswith(suffix) and name != suffix for name in names):
                return domains["*" + suffix]
        for prefix in prefixes:
            if any(name.startswith(prefix) and name != prefix for name in names):
                return domains[prefix + "*"]
        return domains.get("*", ())

    return find


def _ready(
    route: Route,
    virtual_host: str,
    requests: Sequence[HeaderOperations],
    responses: Sequence[HeaderOperations],
    origin: Origin,
) -> MatchedRoute:
    action, redirect = route.route, route.redirect
    return MatchedRoute(
        config=route,
        virtual_host=virtual_host,
        pick_cluster=None if action is None else _cluster_picker(action),
        rewrite_path=None if action is None else compile_rewrite(route.match, action),
        locate=None if redirect is None else compile_redirect(route.match, redirect),
        change_request=compile_operations([*requests, route.request_headers], origin),
        change_response=compile_operations([*responses, route.response_headers], origin),
    )


def _cluster_picker(action: RouteAction) -> Callable[[Random], str]:
    if action.cluster is not None:
        name = action.cluster
        return lambda _rng: name
    names = [cluster.name for cluster in action.weighted_clusters]
    sums = list(accumulate(cluster.weight for cluster in action.weighted_clusters))
    return lambda rng: names[bisect(sums, rng.random() * sums[-1])]
