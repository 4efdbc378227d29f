"""Hedging: where a try takes too long another one is made beside it, and the first answer wins."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from trioproxy.errors import (
    NoHealthyUpstream,
    UpstreamError,
    UpstreamTimeout,
    first_failure,
)
from trioproxy.filters.http.forward import Forwarding

if TYPE_CHECKING:
    from trioproxy.codec.messages import Response
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.attempt import Attempt
    from trioproxy.filters.http.plan import Plan
    from trioproxy.filters.http.tools import HttpTools
    from trioproxy.upstream.bounded import Bounded
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.host import Host


class HedgedForwarding(Forwarding):
    """A forwarding whose tries may overlap; the whole request has to be here.

    A try that fails while others are in flight is not made again: one of those may do better.
    """

    __slots__ = ("_in_flight", "_newest", "_nursery", "_scopes")

    _nursery: trio.Nursery
    _newest: Host

    def __init__(self, exchange: Exchange, cluster: Cluster, plan: Plan, tools: HttpTools) -> None:
        Forwarding.__init__(self, exchange, cluster, plan, tools)
        self._scopes: dict[trio.lowlevel.Task, trio.CancelScope] = {}
        self._in_flight = 0

    async def run(self) -> None:
        """Bring the response to the client; raises the ProxyError of the last attempt."""
        try:
            with first_failure():
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    self._start()
                    nursery.start_soon(self._hedge)
        finally:
            self._end_retries()

    def _start(self) -> None:
        self._newest = self._pick()
        self._in_flight += 1
        self._nursery.start_soon(self._contend, self._newest)

    async def _contend(self, host: Host) -> None:
        with trio.CancelScope() as self._scopes[trio.lowlevel.current_task()]:
            try:
                delivered = await self._attempt(host)
            except UpstreamError:
                if self._in_flight > 1:
                    return
                raise
            finally:
                self._in_flight -= 1
            if delivered:
                self._nursery.cancel_scope.cancel()
            elif not self._in_flight:
                await self._pause()
                self._start()

    async def _hedge(self) -> None:
        """Start another try whenever the newest one has had its time."""
        policy = self._plan.retry
        assert policy is not None
        assert policy.per_try_timeout is not None
        with trio.CancelScope() as self._scopes[trio.lowlevel.current_task()]:
            while len(self._tried) < policy.attempts:
                await trio.sleep(policy.per_try_timeout)
                if self._in_flight:
                    self._newest.stats.rq_timeout.add()
                    self._cluster.stats.upstream_rq_per_try_timeout.add()
                    if not Forwarding._again(self, self._newest, wanted=True):
                        return
                    with suppress(NoHealthyUpstream):  # the try in flight may still succeed
                        self._start()

    async def _deliver(self, attempt: Attempt, response: Response) -> None:
        mine = trio.lowlevel.current_task()
        if self._scopes[mine].cancel_called:
            await trio.lowlevel.checkpoint()  # raises Cancelled: another one was first
        for task, scope in self._scopes.items():
            if task is not mine:
                scope.cancel()
        self._exchange.record.upstream_host = attempt.host.name
        await Forwarding._deliver(self, attempt, response)

    def _replaces(self, response: Response, host: Host) -> bool:
        policy = self._plan.retry
        if policy is not None and self._in_flight > 1 and policy.wants_instead_of(response.status):
            return True
        return Forwarding._replaces(self, response, host)

    def _again(self, host: Host, *, wanted: bool) -> bool:
        return self._in_flight == 1 and Forwarding._again(self, host, wanted=wanted)

    def _make_room(self) -> None:
        """Keep the places of earlier retries: they may be in flight still."""

    def _limit(self, waiting: Bounded) -> None:
        waiting.wait_until(self._deadline, UpstreamTimeout)
