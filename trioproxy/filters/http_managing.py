"""An HTTP connection manager in service: what every exchange passes, whatever its filters."""

from __future__ import annotations

import logging
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, cast

import trio

from trioproxy.codec.h1 import Codec
from trioproxy.errors import DownstreamClosed, FilterFailed, ProxyError
from trioproxy.filters.chain import chain
from trioproxy.filters.forwarding import Forwarder
from trioproxy.filters.http.routing import RouteTable
from trioproxy.filters.http.tools import HttpTools
from trioproxy.filters.http1 import Http1Connection
from trioproxy.filters.tools import prepared
from trioproxy.stats.downstream import HttpStats

if TYPE_CHECKING:
    from trioproxy.accesslog.record import Record
    from trioproxy.filters.chain import Filter, Forward
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.network.http_connection_manager import HttpConnectionManager
    from trioproxy.filters.tools import Tools

log = logging.getLogger("trioproxy.http")


class HttpManaging:
    """Runs connections and exchanges, answers what fails, counts and logs."""

    def __init__(self, config: HttpConnectionManager, tools: Tools) -> None:
        self.config = config
        self.pipes = tools.pipes
        self.wall_clock = tools.wall_clock
        self.health = tools.health
        self.codec = Codec(config.max_headers_count)
        self.stats = HttpStats(tools.stats, config.stat_prefix)
        self.idle_timeout = config.idle_timeout or inf
        self.stream_idle_timeout = config.stream_idle_timeout or inf
        self.request_headers_timeout = config.request_headers_timeout or inf
        self.max_request_headers = config.max_request_headers
        self.max_requests = config.max_requests_per_connection or inf
        self._log = tools.access_log(config.access_log) if config.access_log else None
        lent = HttpTools(
            worker=tools,
            codec=self.codec,
            routes=RouteTable(
                config.hosts, config.request_headers, config.response_headers, tools.origin
            ),
            stats=self.stats,
            scope=f"http.{config.stat_prefix}",
            upgrades=frozenset(config.upgrades),
            tunnel_idle_timeout=config.upgrade_idle_timeout or inf,
        )
        filters = [prepared(each, lent) for each in config.http_filters]
        self._chain = chain(cast("list[Filter[Exchange]]", filters))
        refused_upgrades = self.stats.downstream_rq_ws_on_non_ws_route
        self._mark = Forwarder(config, tools.rng, refused_upgrades).mark

    async def __call__(self, connection: Connection, _forward: Forward[Connection]) -> None:
        """Serve one connection to its end."""
        stats = self.stats
        stats.downstream_cx_total.add()
        stats.downstream_cx_http1_total.add()
        stats.downstream_cx_active.add()
        stats.downstream_cx_http1_active.add()
        started = perf_counter()
        if self.config.max_connection_duration is not None:
            connection.lifetime.limit(self.config.max_connection_duration)
        client = Http1Connection(connection, self)
        try:
            await client.serve()
        except OSError:  # the client's socket failed
            connection.transport.hangup = True
        finally:
            stats.downstream_cx_active.add(-1)
            stats.downstream_cx_http1_active.add(-1)
            stats.downstream_cx_end(
                remote=connection.transport.hangup, active_rq=client.exchange is not None
            )
            stats.downstream_cx_length_ms.record((perf_counter() - started) * 1000)

    async def run(self, exchange: Exchange) -> None:
        """Run one exchange through the filters; it is answered and logged afterwards."""
        stats = self.stats
        stats.downstream_rq_total.add()
        stats.downstream_rq_http1_total.add()
        stats.downstream_rq_active.add()
        try:
            self._mark(exchange)
            await self._chain(exchange)
            if not exchange.responded:
                raise FilterFailed("no filter answered")
        except trio.Cancelled:
            self._note_expiry(exchange)
            raise
        except Exception as error:
            await self._answer(exchange, error)
        finally:
            stats.downstream_rq_active.add(-1)
            exchange.record.bytes_received += exchange.received
            self.finish(exchange.record)
            if exchange.has_generators:
                await exchange.close_bodies()

    def finish(self, record: Record) -> None:
        """Count and log an exchange that is over."""
        stats = self.stats
        record.ended = perf_counter()
        if record.status:
            stats.downstream_rq_response(record.status)
        stats.downstream_rq_time.record((record.ended - record.started) * 1000)
        if self._log is not None:
            self._log(record)

    async def _answer(self, exchange: Exchange, error: Exception) -> None:
        """The one place where a failure becomes a response, or a cut connection."""
        failure = _proxy_error(error)
        record = exchange.record
        record.flags = failure.flag
        record.details = record.details or str(failure)
        if failure.answer == 413:
            self.stats.downstream_rq_too_large.add()
        if exchange.complete:
            return  # the client has its answer; what failed came after it
        if exchange.responded or isinstance(failure, DownstreamClosed):
            self._cut(exchange, failure)
            return
        try:
            await exchange.respond(failure.answer, f"{failure}\n")
        except Exception as again:
            self._cut(exchange, _proxy_error(again))

    def _cut(self, exchange: Exchange, failure: ProxyError) -> None:
        """End an exchange that cannot be answered any more, so that the client takes notice."""
        if isinstance(failure, DownstreamClosed):
            self.stats.downstream_rq_rx_reset.add()
        else:
            self.stats.downstream_rq_tx_reset.add()
            self.stats.rq_reset_after_downstream_response_started.add()
        exchange.stream.cut()

    def _note_expiry(self, exchange: Exchange) -> None:
        lifetime, record = exchange.connection.lifetime, exchange.record
        if not lifetime.expired:
            return
        if not exchange.responded:
            # A body still on its way is the client's fault, a silent host is not.
            record.status = 504 if exchange.received_all else 408
        if lifetime.worn_out:
            record.flags, why = "DT", "duration_timeout"
            self.stats.downstream_cx_max_duration_reached.add()
        elif lifetime.drained:
            record.status, why = record.status if exchange.responded else 503, "drained"
            self.stats.downstream_cx_drain_close.add()
        else:
            record.flags, why = "SI", "stream_idle_timeout"
            self.stats.downstream_rq_idle_timeout.add()
        record.details = record.details or why


def _proxy_error(error: Exception) -> ProxyError:
    """Find what an exchange failed of: a filter's nursery may have wrapped it."""
    found = error
    while isinstance(found, ExceptionGroup) and len(found.exceptions) == 1:
        found = found.exceptions[0]
    if isinstance(found, ProxyError):
        return found
    log.error("a filter failed: %r", error, exc_info=error)
    return FilterFailed("a filter failed")
