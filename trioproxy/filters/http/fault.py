"""`fault`: delays and aborts some requests, to see what their clients make of it."""

from random import Random
from typing import Annotated, ClassVar

import attrs
import trio

from trioproxy.config.marks import Count, Invalid, Range
from trioproxy.config.route import HeaderMatch, RouteMatch
from trioproxy.config.units import Fraction, Seconds
from trioproxy.filters.chain import Forward
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.http.route_match import compile_match
from trioproxy.filters.http.tools import HttpTools
from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter, Gauge


class FaultStats(Family):
    """`http.<stat_prefix>.fault.`"""

    delays_injected: Counter
    aborts_injected: Counter
    faults_overflow: Counter
    active_faults: Gauge


@attrs.frozen
class FaultDelay:
    """Wait before the request is forwarded."""

    fixed_delay: Annotated[Seconds, "For so long"]
    percentage: Annotated[Fraction, "So many of the requests"] = 1.0


@attrs.frozen
class FaultAbort:
    """Answer instead of forwarding the request."""

    http_status: Annotated[int, Range(200, 599), "The status"]
    percentage: Annotated[Fraction, "So many of the requests"] = 1.0


@attrs.frozen
class Fault:
    """Delay some requests, abort some; those that are both are aborted after the delay."""

    later: ClassVar[tuple[str, ...]] = ("response_rate_limit", "upstream_cluster")

    delay: Annotated[FaultDelay | None, "Delay some; null: none"] = None
    abort: Annotated[FaultAbort | None, "Abort some; null: none"] = None
    headers: Annotated[tuple[HeaderMatch, ...], "Only requests of which all of these hold"] = ()
    max_active_faults: Annotated[
        Count | None, "Faults at one time, per worker; a request beyond is left alone"
    ] = None

    def __attrs_post_init__(self) -> None:
        if self.delay is None and self.abort is None:
            raise Invalid("expected delay or abort")

    def prepare(self, tools: HttpTools) -> "Faulting":
        """Return the filter."""
        stats = FaultStats(tools.worker.stats, f"{tools.scope}.fault")
        return Faulting(self, stats, tools.worker.rng)


class Faulting:
    """A `fault` in service."""

    def __init__(self, config: Fault, stats: FaultStats, rng: Random) -> None:
        self._config = config
        self._matches = compile_match(RouteMatch(prefix="", headers=config.headers))
        self._stats = stats
        self._rng = rng
        self._active = 0

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        """Forward, late or not at all for those that the dice have chosen."""
        delay, abort = self._choose(exchange)
        if delay is None and abort is None:
            await forward(exchange)
            return
        self._active += 1
        self._stats.active_faults.add()
        try:
            if delay is not None:
                await self._delay(exchange, delay)
            if abort is not None:
                await self._abort(exchange, abort)
            else:
                await forward(exchange)
        finally:
            self._active -= 1
            self._stats.active_faults.add(-1)

    def _choose(self, exchange: Exchange) -> tuple[FaultDelay | None, FaultAbort | None]:
        config, request, most = self._config, exchange.request, self._config.max_active_faults
        if not self._matches(request.path, "", request.method, request.headers):
            return None, None
        delay, abort = config.delay, config.abort
        if delay is not None and self._rng.random() >= delay.percentage:
            delay = None
        if abort is not None and self._rng.random() >= abort.percentage:
            abort = None
        if (delay or abort) and most is not None and self._active >= most:
            self._stats.faults_overflow.add()
            return None, None
        return delay, abort

    async def _delay(self, exchange: Exchange, delay: FaultDelay) -> None:
        self._stats.delays_injected.add()
        exchange.record.flag("DI")
        await trio.sleep(delay.fixed_delay)

    async def _abort(self, exchange: Exchange, abort: FaultAbort) -> None:
        self._stats.aborts_injected.add()
        exchange.record.flag("FI")
        exchange.record.details = "fault_filter_abort"
        await exchange.respond(abort.http_status, "fault filter abort\n")
