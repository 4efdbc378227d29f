"""Taking an exchange to a cluster: attempt after attempt, until one brings the response."""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

import trio

from trioproxy.codec.websocket import FrameTracker
from trioproxy.errors import (
    ProxyError,
    TryTimeout,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamReset,
    UpstreamTimeout,
)
from trioproxy.filters.goodbye import Goodbye
from trioproxy.filters.http.attempt import SAFE_TO_REPEAT, Attempt, StaleConnection
from trioproxy.filters.http.upload import AnsweredEarly, Upload
from trioproxy.filters.tunnel import Tunnel
from trioproxy.upstream.lb import ANY

if TYPE_CHECKING:
    from trioproxy.codec.messages import Response
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.plan import Plan
    from trioproxy.filters.http.tools import HttpTools
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.upstream.host import Host


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
        "_retries",
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
        self._deadline = cluster.sweep.later(plan.timeout) if self._upload.done else inf
        self._tried: list[Host] = []
        self._retries = 0
        self._wish = ANY
        if plan.wishes:
            self._wish = plan.wish(exchange, cluster, tools.worker.rng)

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
            with Attempt(
                self._exchange, self._cluster, host, self._upload, self._tools.codec, self._limit
            ) as attempt:
                try:
                    await attempt.send(self._deadline)
                except AnsweredEarly:
                    await self._duplex(attempt)
                    return True
                response = await attempt.receive()
                attempt.connection.when = inf
                if self._replaces(response, host):
                    return False
                await self._deliver(attempt, response)
                return True
        except StaleConnection:
            self._cluster.drop_idle(host)  # where one is stale, so are the others
            if not self._repeatable or self._exchange.request.method not in SAFE_TO_REPEAT:
                raise
            return await self._attempt(host)
        except UpstreamError as failure:
            record.upstream_failure = str(failure)
            self._count(host, failure)
            if not self._again(host, wanted=self._wants_after(failure)):
                raise
            return False

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
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._finish_upload, attempt)
                response = await attempt.receive()
                attempt.connection.when = inf
                await self._deliver(attempt, response)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            failures = group.subgroup(ProxyError)
            if failures is None:
                raise
            raise first_of(failures) from None  # by itself: who cancelled us will do so again

    async def _finish_upload(self, attempt: Attempt) -> None:
        try:
            await self._upload.finish(attempt.connection.transport, attempt.received)
        except UpstreamReset:
            return  # the host reads no more; whatever it answered is still there to be read

    def _limit(self, connection: UpstreamConnection) -> None:
        """Bound what is waited for on this connection, which is the response head in the end."""
        plan = self._plan
        if self._deadline == inf:
            self._deadline = self._cluster.sweep.later(plan.timeout)
        connection.wait_until(self._deadline, UpstreamTimeout)
        if plan.retry is not None and plan.retry.per_try_timeout is not None:
            until = self._cluster.sweep.later(plan.retry.per_try_timeout)
            if until < self._deadline:
                connection.wait_until(until, TryTimeout)

    async def _deliver(self, attempt: Attempt, response: Response) -> None:
        exchange, record = self._exchange, self._exchange.record
        record.response_started = perf_counter()
        record.details = "via_upstream"
        if response.status != 101:
            await exchange.send(response, attempt.body)
            return
        if not exchange.request.upgrade:
            raise UpstreamProtocolError("switches protocols though nobody asked it to")
        held, attempt.reader.pending = attempt.reader.pending, b""
        attempt.reader.received -= len(held)  # it is counted with what flows
        code = self._tools.websocket_close_code
        websocket = exchange.request.upgrade.lower() == "websocket"
        goodbye = Goodbye(code, FrameTracker(), FrameTracker()) if websocket else None
        tunnel = Tunnel(attempt.connection, held, self._tools.tunnel_idle_timeout, goodbye)
        await exchange.send(response, tunnel)

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


def first_of(failures: BaseExceptionGroup[ProxyError]) -> ProxyError:
    """Return the failure that a nursery wrapped, the first one where there are several."""
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, ProxyError)
    return found
