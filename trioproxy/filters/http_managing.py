"""An HTTP connection manager in service: what every exchange passes, whatever its filters."""

from __future__ import annotations

import logging
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, cast

from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.h1 import Codec
from trioproxy.codec.h2.codec import Codec as Http2Codec
from trioproxy.codec.h2.limits import Limits
from trioproxy.errors import DownstreamClosed, FilterFailed, ProxyError
from trioproxy.filters.chain import chain
from trioproxy.filters.forwarding import Forwarder
from trioproxy.filters.handover import missing_host
from trioproxy.filters.http.routing import RouteTable
from trioproxy.filters.http.tools import HttpTools
from trioproxy.filters.http1 import Http1Connection
from trioproxy.filters.http2 import Http2Connection
from trioproxy.filters.offer import HTTP1, TUNNEL, to_bytes
from trioproxy.filters.tools import prepared
from trioproxy.filters.tunnel import Tunnel
from trioproxy.stats.downstream import HttpStats
from trioproxy.stats.http2 import Http2Stats
from trioproxy.wire.reader import HEAD_END

if TYPE_CHECKING:
    from trioproxy.accesslog.record import Record
    from trioproxy.drain.lifetime import Lifetime
    from trioproxy.filters.chain import Filter, Forward
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.network.http_connection_manager import HttpConnectionManager
    from trioproxy.filters.offer import Offer
    from trioproxy.filters.tools import Tools
    from trioproxy.stats.handles import Counter

log = logging.getLogger("trioproxy.http")


class HttpManaging:
    """Runs connections and exchanges, answers what fails, counts and logs."""

    def __init__(self, config: HttpConnectionManager, tools: Tools) -> None:
        self.config = config
        self.tools = tools
        self.pipes = tools.pipes
        self.wall_clock = tools.wall_clock
        self.health = tools.health
        self.codec = Codec(config.max_headers_count)
        self.stats = HttpStats(tools.stats, config.stat_prefix)
        self.http2_codec = Http2Codec()
        self.http2_stats = Http2Stats(tools.stats)
        self.http2_limits = http2_limits(config)
        self.idle_timeout = config.idle_timeout or inf
        self.stream_idle_timeout = config.stream_idle_timeout or inf
        self.request_headers_timeout = config.request_headers_timeout or inf
        self.max_request_headers = config.max_request_headers
        self.tunnel_idle_timeout = config.upgrade_idle_timeout or inf
        self.detects_http2 = config.codec_type == "auto"
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
            tunnel_idle_timeout=self.tunnel_idle_timeout,
            websocket_close_code=config.websocket_close_code,
        )
        filters = [prepared(each, lent) for each in config.http_filters]
        self._chain = chain(cast("list[Filter[Exchange]]", filters))
        refused_upgrades = self.stats.downstream_rq_ws_on_non_ws_route
        self._mark = Forwarder(config, tools.rng, refused_upgrades).mark

    async def __call__(self, connection: Connection, _forward: Forward[Connection]) -> None:
        """Serve one connection to its end."""
        stats, inheritance = self.stats, connection.inheritance
        if inheritance is None:
            stats.downstream_cx_total.add()
        self._count_active(connection, 1)
        if self.config.max_connection_duration is not None:
            connection.lifetime.limit(self.config.max_connection_duration)
        client: Http1Connection | Http2Connection
        if self.config.codec_type == "http2" or connection.alpn == "h2":
            client = Http2Connection(connection, self)
        else:
            client = Http1Connection(connection, self)
        try:
            await client.serve()
            if client.preface:
                client = Http2Connection(connection, self, client.preface)
                await client.serve()
        except OSError:  # the client's socket failed
            connection.transport.hangup = True
        finally:
            self._count_active(connection, -1)
            if not connection.moved:
                stats.downstream_cx_end(remote=connection.transport.hangup, active_rq=client.busy)
                stats.downstream_cx_length_ms.record(connection.lifetime.age * 1000)
            client.forget()

    def _count_active(self, connection: Connection, change: int) -> None:
        stats = self.stats
        stats.downstream_cx_active.add(change)
        if connection.tls is not None:
            stats.downstream_cx_ssl_total.add(max(change, 0))
            stats.downstream_cx_ssl_active.add(change)

    def refusal(self, offer: Offer) -> str:
        """Return why a connection of the previous generation cannot be had; empty if it can."""
        if offer.kind == HTTP1:
            return ""
        if offer.kind != TUNNEL or not self.config.upgrades:
            return "nothing is upgraded here"
        try:
            self.codec.parse_request(to_bytes(offer.head).removesuffix(HEAD_END))
        except MalformedMessage as error:
            return f"its request would not do here: {error.detail}"
        return missing_host(self.tools.clusters, offer)

    async def run(self, exchange: Exchange, total: Counter) -> None:
        """Run one exchange through the filters; it is answered and logged afterwards.

        `total` counts those of its HTTP version.
        """
        self.begin(total)
        try:
            self._mark(exchange)
            await self._chain(exchange)
            if not exchange.responded:
                raise FilterFailed("no filter answered")
        except Exception as error:
            await self._answer(exchange, error)
        except BaseException:  # cancelled, maybe in a nursery of a filter's
            self._note_end(exchange)
            raise
        finally:
            exchange.record.bytes_received += exchange.received
            self.conclude(exchange.record, exchange.connection)
            if exchange.has_generators:
                await exchange.close_bodies()

    def begin(self, total: Counter) -> None:
        """Count an exchange that begins, also in the `total` of its HTTP version."""
        total.add()
        self.stats.downstream_rq_total.add()
        self.stats.downstream_rq_active.add()

    def conclude(self, record: Record, connection: Connection) -> None:
        """Finish an exchange, unless the next generation goes on with it."""
        if connection.moved:
            self.stats.downstream_rq_active.add(-1)
        else:
            self.finish(record)

    def finish(self, record: Record) -> None:
        """Count and log an exchange that is over."""
        stats = self.stats
        stats.downstream_rq_active.add(-1)
        record.ended = perf_counter()
        if record.status:
            stats.responses.add(record.status)
        stats.downstream_rq_time.record((record.ended - record.started) * 1000)
        if self._log is not None:
            self._log(record)

    async def _answer(self, exchange: Exchange, error: Exception) -> None:
        """The one place where a failure becomes a response, or a cut connection."""
        failure = _proxy_error(error)
        record = exchange.record
        record.flag(failure.flag)
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
        except Exception as again:  # a filter that wanted to see the answer, if nothing is sent
            await self._answer(exchange, again)

    def _cut(self, exchange: Exchange, failure: ProxyError) -> None:
        """End an exchange that cannot be answered any more, so that the client takes notice."""
        if isinstance(failure, DownstreamClosed):
            self.stats.downstream_rq_rx_reset.add()
        else:
            self.stats.downstream_rq_tx_reset.add()
            self.stats.rq_reset_after_downstream_response_started.add()
        exchange.stream.cut()

    def _note_end(self, exchange: Exchange) -> None:
        """Take note why an exchange was cancelled."""
        lifetime = exchange.lifetime
        if not lifetime.abandoned and not lifetime.expired:
            lifetime = exchange.connection.lifetime  # all of its streams end with it
        if lifetime.abandoned:
            exchange.record.flag(DownstreamClosed.flag)
            self._cut(exchange, DownstreamClosed())
        elif lifetime.expired:
            self._note_expiry(exchange, lifetime)

    def _note_expiry(self, exchange: Exchange, lifetime: Lifetime) -> None:
        record = exchange.record
        if not exchange.responded:
            # A body still on its way is the client's fault, a silent host is not.
            record.status = 504 if exchange.received_all else 408
        elif not exchange.complete and not isinstance(exchange.response_body, Tunnel):
            exchange.stream.cut()
        if lifetime.worn_out:
            why = "duration_timeout"
            record.flag("DT")
            self.stats.downstream_cx_max_duration_reached.add()
        elif lifetime.drained:
            why = "drained"
            if not exchange.responded:
                record.status = 503
            self.stats.downstream_cx_drain_close.add()
        else:
            why = "stream_idle_timeout"
            record.flag("SI")
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


def http2_limits(config: HttpConnectionManager) -> Limits:
    """Return what a client may do on an HTTP/2 connection."""
    options = config.http2_options
    return Limits(
        max_concurrent_streams=options.max_concurrent_streams,
        stream_window=options.initial_stream_window_size,
        connection_window=options.initial_connection_window_size,
        max_header_list_size=config.max_request_headers,
        max_header_fields=config.max_headers_count,
        extended_connect="websocket" in config.upgrades,
    )
