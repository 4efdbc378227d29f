"""A plan: what a route to a cluster comes down to, worked out once per route."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from trioproxy.filters.http.hash_policy import compile_policies
from trioproxy.filters.http.retry import RetryPolicy
from trioproxy.upstream.lb import Wish

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.routing import MatchedRoute
    from trioproxy.upstream.cluster import Cluster

ORIGINAL_PATH = "x-envoy-original-path"  # as Envoy does: access logs show it


class Plan:
    """A matched route with a `route` action, ready for the hot path.

    Times are seconds, infinite where there is no limit. `changes` tells whether the request is
    changed on the way, `wishes` whether the host depends on it, `hedges` whether tries may overlap.
    """

    __slots__ = (
        "_change_fields",
        "_host_rewrite",
        "_key_of",
        "_rewrite_path",
        "_wish",
        "changes",
        "hedges",
        "idle_timeout",
        "pick_cluster",
        "retry",
        "timeout",
        "wishes",
    )

    def __init__(self, matched: MatchedRoute) -> None:
        action, pick = matched.config.route, matched.pick_cluster
        assert action is not None
        assert pick is not None
        self.pick_cluster: Callable[[Random], str] = pick
        self.timeout = action.timeout or inf
        self.idle_timeout = None if action.idle_timeout is None else action.idle_timeout or inf
        self.retry = None if action.retry is None else RetryPolicy(action.retry)
        self.hedges = self.retry is not None and self.retry.hedges
        self._change_fields = matched.change_request
        self._rewrite_path = matched.rewrite_path
        self._host_rewrite = action.host_rewrite
        changes = (self._change_fields, self._rewrite_path, self._host_rewrite)
        self.changes = any(change is not None for change in changes)
        self._key_of = compile_policies(action.hash_policy)
        self._wish = Wish(None, frozenset(action.metadata_match.items()))
        self.wishes = bool(action.hash_policy or action.metadata_match)

    def change(self, exchange: Exchange) -> None:
        """Change the request's fields, path and host as the route says."""
        request = exchange.request
        if self._change_fields is not None:
            self._change_fields(request.headers, exchange.record)
        if self._rewrite_path is not None:
            request.headers.set(ORIGINAL_PATH, request.path)
            request.path = self._rewrite_path(request.path)
        if self._host_rewrite is not None:
            request.authority = self._host_rewrite

    def wish(self, exchange: Exchange, cluster: Cluster, rng: Random) -> Wish:
        """Return what the request asks of its host; called once a request."""
        if self._key_of is None or not cluster.hashes:
            return self._wish
        return Wish(self._key_of(exchange, rng), self._wish.subset)


class Plans(dict["MatchedRoute", Plan]):
    """The plan of each route, made when it is first asked for."""

    def __missing__(self, matched: MatchedRoute) -> Plan:
        plan = self[matched] = Plan(matched)
        return plan
