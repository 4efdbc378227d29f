"""Taking an exchange to a cluster: attempt after attempt, until one brings the response."""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

import trio

from trioproxy.errors import (
    RequestRefused,
    StaleConnection,
    TryTimeout,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamReset,
    UpstreamTimeout,
    first_failure,
)
from trioproxy.filters.grpc import timeout_of
from trioproxy.filters.http.attempt import SAFE_TO_REPEAT
from trioproxy.filters.http.attempt_http1 import Http1Attempt
from trioproxy.filters.http.attempt_http2 import Http2Attempt
from trioproxy.filters.http.upload import AnsweredEarly, Upload
from trioproxy.upstream.lb import ANY

if TYPE_CHECKING:
    from trioproxy.codec.messages import Response
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.attempt import Attempt
    from trioproxy.filters.http.plan import Plan
    from trioproxy.filters.http.tools import HttpTools
    from trioproxy.upstream.bounded import Bounded
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.host import Host

MOST_REPEATS = 3  # of a request that no host has looked at, however often they refuse it


class Forwarding:
    """One exchange on its way to `cluster`: what was tried, and until when it may take.

    The route's timeout runs from the end of the client's request to the response head, whatever
    the time is spent on: a place in the queue, a connection, retries and the pauses before them.
    """

    __slots__ = (
        "_cluster",
        "_deadline",
        "_exchange",
        "_plan",
        "_repeats",
        "_retries",
        "_timeout",
        "_tools",
        "_tried",
        "_upload",
        "_wish",
    )

    def __init__(self, exchange: Exchange, cluster: Cluster, plan: Plan, tools: HttpTools) -> None:
        self._exchange = exchange
        self._cluster = cluster
        self._plan = plan
        self._tools = tools
        self._upload = Upload(exchange)
        self._timeout = plan.timeout
        if exchange.request.te_trailers:  # as a call by gRPC always has it
            self._timeout = min(plan.timeout, timeout_of(exchange.request))
        self._deadline = cluster.sweep.later(self._timeout) if self._upload.done else inf
        self._tried: list[Host] = []
        self._retries = 0
        self._wish = ANY
        if plan.wishes:
            self._wish = plan.wish(exchange, cluster, tools.worker.rng)
        self._repeats = 0

    async def run(self) -> None:
        """Bring the response to the client; raises the ProxyError of the last attempt."""
        try:
            while not await self._attempt(self._pick()):
                await self._pause()
        finally:
            self._end_retries()

    def _pick(self) -> Host:
        policy = self._plan.retry
        avoided = () if policy is None or policy.same_host else self._tried
        return self._cluster.pick(avoided, self._wish)

    async def _attempt(self, host: Host) -> bool:
        """Try one host; returns False where another try is to be made."""
        record = self._exchange.record
        record.attempts += 1
        record.upstream_host = host.name
        try:
            while self._cluster.speaks_http2(host) is None:
                await self._cluster.agree(host, self._deadline)
            with self._begin(host) as attempt:
                try:
                    await attempt.send(self._deadline)
                except AnsweredEarly:
                    await self._duplex(attempt)
                    return True
                response = await attempt.receive()
                attempt.unlimit()
                if self._replaces(response, host):
                    return False
                await self._deliver(attempt, response)
                return True
        except UpstreamError as failure:
            if self._unseen(failure, host):
                return await self._attempt(host)
            if isinstance(failure, StaleConnection):
                raise
            record.upstream_failure = str(failure)
            self._count(host, failure)
            if not self._again(host, wanted=self._wants_after(failure)):
                raise
            return False

    def _begin(self, host: Host) -> Attempt:
        exchange, cluster, upload = self._exchange, self._cluster, self._upload
        if cluster.speaks_http2(host):
            return Http2Attempt(exchange, cluster, host, upload, self._limit, self._tools)
        return Http1Attempt(exchange, cluster, host, upload, self._limit, self._tools)

    def _unseen(self, failure: UpstreamError, host: Host) -> bool:
        """Whether to try again unasked: the host has not seen the request, or not looked at it."""
        if isinstance(failure, StaleConnection):
            self._cluster.drop_idle(host)  # where one is stale, so are the others
            if self._exchange.request.method not in SAFE_TO_REPEAT:
                return False
        elif not isinstance(failure, RequestRefused):
            return False
        self._repeats += 1
        return self._repeatable and self._repeats <= MOST_REPEATS

    def _replaces(self, response: Response, host: Host) -> bool:
        """Whether another try is to be made instead of passing this response on."""
        policy = self._plan.retry
        if policy is None:
            return False
        if policy.wants_instead_of(response.status):
            return self._again(host, wanted=True)
        if self._tried:
            self._cluster.stats.upstream_rq_retry_success.add()
        return False

    async def _duplex(self, attempt: Attempt) -> None:
        """Take the rest of the request up while the response already comes down."""
        with first_failure():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(attempt.finish)
                response = await attempt.receive()
                attempt.unlimit()
                await self._deliver(attempt, response)
                nursery.cancel_scope.cancel()

    def _limit(self, waiting: Bounded) -> None:
        """Bound what is waited for at the host, which is the response head in the end."""
        plan = self._plan
        if self._deadline == inf:
            self._deadline = self._cluster.sweep.later(self._timeout)
        waiting.wait_until(self._deadline, UpstreamTimeout)
        if plan.retry is not None and plan.retry.per_try_timeout is not None:
            until = self._cluster.sweep.later(plan.retry.per_try_timeout)
            if until < self._deadline:
                waiting.wait_until(until, TryTimeout)

    async def _deliver(self, attempt: Attempt, response: Response) -> None:
        exchange, record = self._exchange, self._exchange.record
        record.response_started = perf_counter()
        record.details = "via_upstream"
        if response.status != 101:
            await exchange.send(response, attempt.body)
            return
        if not exchange.request.upgrade:
            raise UpstreamProtocolError("switches protocols though nobody asked it to")
        await exchange.send(response, attempt.tunnel())

    @property
    def _repeatable(self) -> bool:
        return self._upload.repeatable and not self._exchange.responded

    def _wants_after(self, failure: UpstreamError) -> bool:
        return self._plan.retry is not None and self._plan.retry.wants_after(failure)

    def _again(self, host: Host, *, wanted: bool) -> bool:
        """Decide whether to try once more, and take a place among the cluster's retries."""
        policy, cluster = self._plan.retry, self._cluster
        if not wanted or policy is None or not self._repeatable:
            return False
        if len(self._tried) >= policy.attempts:
            cluster.stats.upstream_rq_retry_limit_exceeded.add()
            self._exchange.record.flag("URX")
            return False
        self._make_room()
        if trio.current_time() >= self._deadline or not cluster.retries.begin(policy.budget):
            cluster.stats.upstream_rq_retry_overflow.add()
            return False
        self._retries += 1
        cluster.stats.upstream_rq_retry.add()
        self._tried.append(host)
        return True

    def _make_room(self) -> None:
        """Give up the place of the retry before: it is over."""
        self._end_retries()

    def _end_retries(self) -> None:
        while self._retries:
            self._retries -= 1
            self._cluster.retries.end()

    async def _pause(self) -> None:
        assert self._plan.retry is not None
        pause = self._plan.retry.pause(len(self._tried), self._tools.worker.rng)
        self._cluster.stats.upstream_rq_retry_backoff_exponential.add()
        await trio.sleep(min(pause, max(0.0, self._deadline - trio.current_time())))
        if trio.current_time() >= self._deadline:
            self._cluster.stats.upstream_rq_timeout.add()
            raise UpstreamTimeout

    def _count(self, host: Host, failure: UpstreamError) -> None:
        stats = self._cluster.stats
        if isinstance(failure, UpstreamTimeout):
            host.stats.rq_timeout.add()
            per_try = isinstance(failure, TryTimeout)
            (stats.upstream_rq_per_try_timeout if per_try else stats.upstream_rq_timeout).add()
        elif isinstance(failure, UpstreamReset):
            stats.upstream_rq_rx_reset.add()
        elif isinstance(failure, UpstreamProtocolError):
            stats.upstream_cx_protocol_error.add()
