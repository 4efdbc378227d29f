"""Taking an exchange to a cluster: attempt after attempt, until one brings the response."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import trio

from trioproxy.errors import (
    TryTimeout,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamReset,
    UpstreamTimeout,
)
from trioproxy.filters.http.attempt import SAFE_TO_REPEAT, Attempt, StaleConnection
from trioproxy.filters.http.upload import AnsweredEarly, Upload
from trioproxy.filters.tunnel import Tunnel

if TYPE_CHECKING:
    from trioproxy.codec.messages import Response
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.retry import RetryPolicy
    from trioproxy.filters.http.tools import HttpTools
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.host import Host


class Forwarding:
    """One exchange on its way to `cluster`: what was tried, and until when it may take.

    `timeout` runs from the end of the request to the response head, retries included; 0: none.
    """

    __slots__ = (
        "_cluster",
        "_deadline",
        "_exchange",
        "_policy",
        "_retries",
        "_retrying",
        "_timeout",
        "_tools",
        "_tried",
        "_upload",
    )

    def __init__(
        self,
        exchange: Exchange,
        cluster: Cluster,
        timeout: float,
        policy: RetryPolicy | None,
        tools: HttpTools,
    ) -> None:
        self._exchange = exchange
        self._cluster = cluster
        self._timeout = timeout or inf
        self._policy = policy
        self._tools = tools
        self._deadline = inf
        self._upload = Upload(exchange)
        self._tried: list[Host] = []
        self._retries = 0
        self._retrying = False

    async def run(self) -> None:
        """Bring the response to the client; raises the ProxyError of the last attempt."""
        try:
            while not await self._attempt(self._cluster.pick(self._tried)):
                await self._pause()
        finally:
            self._end_retry()

    async def _attempt(self, host: Host) -> bool:
        """Try one host; returns False where another try is to be made."""
        record = self._exchange.record
        record.attempts += 1
        record.upstream_host = host.name
        attempt = Attempt(self._exchange, self._cluster, host, self._upload, self._tools.codec)
        try:
            with attempt:
                return await self._follow(attempt)
        except StaleConnection:
            # Kept connections may all have gone with the host's restart; each is tried but once.
            if not self._repeatable or self._exchange.request.method not in SAFE_TO_REPEAT:
                raise
            return await self._attempt(host)
        except UpstreamError as failure:
            record.upstream_failure = str(failure)
            self._count(host, failure)
            if not self._again(host, wanted=self._wants_after(failure)):
                raise
            return False

    async def _follow(self, attempt: Attempt) -> bool:
        try:
            await attempt.send()
        except AnsweredEarly:
            await self._duplex(attempt)
            return True
        self._limit(attempt)
        response = await attempt.receive()
        if self._policy is not None and self._policy.wants_instead_of(response.status):
            if self._again(attempt.host, wanted=True):
                return False
        elif self._retries:
            self._cluster.stats.upstream_rq_retry_success.add()
        await self._deliver(attempt, response)
        return True

    async def _duplex(self, attempt: Attempt) -> None:
        """Take the rest of the request up while the response already comes down."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._finish_upload, attempt)
            await self._deliver(attempt, await attempt.receive())
            nursery.cancel_scope.cancel()

    async def _finish_upload(self, attempt: Attempt) -> None:
        try:
            await self._upload.finish(attempt.connection.transport)
        except UpstreamReset:
            return  # the host reads no more; whatever it answered is still there to be read
        if attempt.response is None:
            self._limit(attempt)

    def _limit(self, attempt: Attempt) -> None:
        """The request is out: from now on the response head is waited for."""
        now = trio.current_time()
        if self._deadline == inf:
            self._deadline = now + self._timeout
        until, error = self._deadline, UpstreamTimeout
        share = self._policy and self._policy.per_try_timeout
        if share and now + share < until:
            until, error = now + share, TryTimeout
        if until != inf:
            attempt.connection.wait_until(until, error)

    async def _deliver(self, attempt: Attempt, response: Response) -> None:
        exchange, record = self._exchange, self._exchange.record
        record.response_started = trio.current_time()
        record.details = "via_upstream"
        if response.status != 101:
            await exchange.send(response, attempt.body)
            return
        if not exchange.request.upgrade:
            raise UpstreamProtocolError("switches protocols though nobody asked it to")
        held, attempt.reader.pending = attempt.reader.pending, b""
        tunnel = Tunnel(attempt.connection, held, self._tools.tunnel_idle_timeout)
        await exchange.send(response, tunnel)

    @property
    def _repeatable(self) -> bool:
        return self._upload.whole and not self._exchange.responded

    def _wants_after(self, failure: UpstreamError) -> bool:
        return self._policy is not None and self._policy.wants_after(failure)

    def _again(self, host: Host, *, wanted: bool) -> bool:
        """Decide whether to try once more, and take a place among the cluster's retries."""
        if not wanted or self._policy is None or not self._repeatable:
            return False
        stats = self._cluster.stats
        if self._retries >= self._policy.attempts:
            stats.upstream_rq_retry_limit_exceeded.add()
            self._exchange.record.flags = "URX"
            return False
        self._end_retry()
        if not self._policy.admits(self._cluster):
            stats.upstream_rq_retry_overflow.add()
            return False
        if trio.current_time() >= self._deadline:
            return False
        self._cluster.retries.enter()
        self._retrying = True
        self._retries += 1
        self._tried.append(host)
        stats.upstream_rq_retry.add()
        return True

    def _end_retry(self) -> None:
        if self._retrying:
            self._retrying = False
            self._cluster.retries.leave()

    async def _pause(self) -> None:
        assert self._policy is not None
        pause = self._policy.pause(self._retries, self._tools.worker.rng)
        self._cluster.stats.upstream_rq_retry_backoff_exponential.add()
        await trio.sleep(min(pause, max(0.0, self._deadline - trio.current_time())))

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
