"""The client's side of HTTP/2: many exchanges at a time on a downstream connection.

The connection's task (`Multiplex`) reads and writes; each stream has a task and a cancel scope to
itself, and all of them are in the connection's nursery. The tasks are used again (`Crew`): to make
one costs as much as half a request.
"""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

import trio

from trioproxy.accesslog.record import Record
from trioproxy.codec.h2 import events
from trioproxy.codec.h2.server import ServerConnection
from trioproxy.drain.lifetime import Rung, Stand
from trioproxy.errors import DownstreamClosed, DownstreamError, DownstreamProtocolError
from trioproxy.filters.http2_stream import Http2Stream
from trioproxy.reactor.crew import Crew
from trioproxy.wire.head_timer import HeadTimer
from trioproxy.wire.keepalive import KeepAlive
from trioproxy.wire.multiplex import Multiplex

if TYPE_CHECKING:
    from trioproxy.codec.messages import Request
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.http_managing import HttpManaging

RESTING = 8  # tasks that a connection keeps: each holds some 3 KiB
FAREWELL = b"farewell"  # a PING behind GOAWAY: its answer has seen the GOAWAY


class Http2Connection:
    """Has the manager run each stream's exchange through its filters, all at the same time.

    `said` was read from the client before. `busy` tells that it ended in the middle of some.
    """

    preface = b""  # of another version: this is the last one

    __slots__ = (
        "_crew",
        "_goodbye_said",
        "_parting",
        "_requests",
        "_said",
        "busy",
        "codec",
        "connection",
        "manager",
        "multiplex",
        "streams",
    )

    def __init__(self, connection: Connection, manager: HttpManaging, said: bytes = b"") -> None:
        self._said = said
        self.connection = connection
        self.manager = manager
        self.codec = ServerConnection(manager.http2_limits, manager.http2_codec)
        self.multiplex = Multiplex(
            connection.transport,
            self.codec,
            self._handle,
            manager.stats.downstream_cx_rx_bytes_total,
            manager.stats.downstream_cx_tx_bytes_total,
        )
        self.streams: dict[int, Http2Stream] = {}
        self.busy = False
        connection.protocol = "HTTP/2"
        connection.transport.on_hangup = None  # whoever reads sees the end
        connection.lifetime.mover = self._stay
        connection.lifetime.spoken_to = self._spoken_to
        self._crew: Crew[Http2Stream] | None = None
        self._requests = 0
        self._parting = False
        self._goodbye_said = False

    def forget(self) -> None:
        """Let go of what knows it: it shall not need a collector to be gone."""
        self.multiplex.forget()
        self._crew = None

    def __repr__(self) -> str:
        return f"<Http2Connection {self.connection.id}, {len(self.streams)} streams>"

    async def serve(self) -> None:
        """Serve until either side has enough."""
        stats = self.manager.stats
        stats.downstream_cx_http2_total.add()
        stats.downstream_cx_http2_active.add()
        try:
            await self._serve_streams()
        finally:
            stats.downstream_cx_http2_active.add(-1)
        if self.multiplex.over and not await self.connection.linger():
            stats.downstream_cx_delayed_close_timeout.add()

    async def _serve_streams(self) -> None:
        lifetime = self.connection.lifetime
        lifetime.stand(Stand.IDLE, self.manager.idle_timeout)
        lifetime.alarm(self.drain, Rung.NOTICE)
        try:
            async with trio.open_nursery() as nursery:
                self._crew = Crew(nursery, self._serve_stream, RESTING)
                await self._run()
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup:
            self._say_why()
            await trio.lowlevel.checkpoint_if_cancelled()  # one will do for all of them
            raise

    async def _run(self) -> None:
        keepalive, head_timer = self._keepalive(), self._head_timer()
        keepalive.begin()
        head_timer.begin()
        try:
            await self.multiplex.run(self._said)
        except OSError:  # the client's socket failed
            self.connection.transport.hangup = True
        finally:
            keepalive.end()
            head_timer.end()
            self.busy = bool(self.streams)
            self.multiplex.release()
        self._abandon(DownstreamClosed())

    def _spoken_to(self) -> bool:
        """Whether the client has said something that nobody has read yet, but will be."""
        if self.multiplex.clogged:
            return False
        try:
            return self.connection.transport.unread() > 0
        except OSError:
            return False

    def _stay(self) -> None:
        """What both ends remember of a connection cannot be handed over: it is asked to leave."""
        self.manager.tools.handover.stay(self.connection.lifetime)

    def _keepalive(self) -> KeepAlive:
        manager = self.manager
        options, lost = manager.config.http2_options, manager.http2_stats.keepalive_timeout
        interval, timeout = options.keepalive_interval, options.keepalive_timeout
        return KeepAlive(self.multiplex, manager.tools.sweep, interval, timeout, lost)

    def _head_timer(self) -> HeadTimer:
        manager = self.manager
        timer = HeadTimer(manager.tools.sweep, manager.request_headers_timeout, self._time_out)
        self.multiplex.head_timer = timer
        return timer

    def drain(self) -> None:
        """Ask the client to leave, because it is asked of all."""
        if not self._parting:
            self.manager.stats.downstream_cx_drain_close.add()
            self._part()

    def _part(self) -> None:
        """Ask the client to open no more streams; a round trip later none are taken any more."""
        if not self._parting:
            self._parting = True
            self.codec.goaway_notice()
            self.codec.ping(FAREWELL)
            self.multiplex.wake()

    def _say_goodbye(self) -> None:
        if not self._goodbye_said:
            self._goodbye_said = True
            self.manager.http2_stats.goaway_sent.add()
            self.codec.goaway()
            self.multiplex.over = not self.streams
            self.multiplex.wake()

    def _handle(self, event: events.Event) -> None:
        """Have the task that an event is for take note of it."""
        stream = self.streams.get(event.stream_id)
        if isinstance(event, events.RequestReceived):
            self._begin(event)
        elif isinstance(event, events.RequestRejected):
            self._refuse(event)
        elif isinstance(event, events.ConnectionFailed):
            self._fail(event)
        elif isinstance(event, events.PingAnswered):
            if event.payload == FAREWELL:
                self._say_goodbye()
        elif stream is not None:
            self._tell(stream, event)

    def _tell(self, stream: Http2Stream, event: events.Event) -> None:
        if isinstance(event, events.DataReceived):
            stream.body.feed(event.data, ended=event.ended)
        elif isinstance(event, events.WindowOpened):
            stream.window_opened()
        elif isinstance(event, events.TrailersReceived):
            self.manager.http2_stats.trailers.add()
            stream.body.end(event.trailers)
        elif isinstance(event, events.StreamReset):
            self._reset(stream, event)

    def _begin(self, event: events.RequestReceived) -> None:
        if not self.streams:
            self.connection.lifetime.stand(Stand.STREAMS, inf)
        self._requests += 1
        stream = Http2Stream(self, event.stream_id, event.request, ended=event.ended)
        self.streams[event.stream_id] = stream
        self.manager.http2_stats.streams_active.add()
        assert self._crew is not None
        self._crew.put(stream)
        if self._requests == self.manager.max_requests:
            self.manager.stats.downstream_cx_max_requests_reached.add()
            self._part()

    def _reset(self, stream: Http2Stream, event: events.StreamReset) -> None:
        stats = self.manager.http2_stats
        if event.by_peer:
            stats.rx_reset.add()
            self._drop(stream, DownstreamClosed(event.detail))
        else:
            stats.tx_reset.add()
            stats.rx_messaging_error.add()
            self._drop(stream, DownstreamProtocolError(event.detail))

    def _drop(self, stream: Http2Stream, error: DownstreamError) -> None:
        stream.fail(error)
        stream.lifetime.abandon()

    def _abandon(self, error: DownstreamError) -> None:
        for stream in self.streams.values():
            self._drop(stream, error)

    def _fail(self, event: events.ConnectionFailed) -> None:
        self.manager.http2_stats.exceeded(event.limit)
        self.manager.http2_stats.goaway_sent.add()
        self.manager.stats.downstream_cx_protocol_error.add()
        self.multiplex.over = True
        self._abandon(DownstreamProtocolError(event.detail))

    def _time_out(self) -> None:
        """A head took too long to come, and with it whatever would have come behind."""
        manager, record = self.manager, self.record(None)
        manager.stats.downstream_rq_header_timeout.add()
        record.details = "request_header_timeout"
        manager.begin(manager.stats.downstream_rq_http2_total)
        manager.finish(record)
        self._say_goodbye()
        self.multiplex.over = True
        self._abandon(DownstreamProtocolError("request_header_timeout"))

    def _refuse(self, event: events.RequestRejected) -> None:
        """Log a request that the codec has answered itself."""
        record = self.record(None)
        record.flag("DPE")
        record.status, record.details = event.status if event.status == 431 else 0, event.detail
        if event.status == 431:
            self.manager.http2_stats.header_overflow.add()
        else:
            self.manager.http2_stats.rx_messaging_error.add()
        self.manager.begin(self.manager.stats.downstream_rq_http2_total)
        self.manager.finish(record)

    async def _serve_stream(self, stream: Http2Stream, scope: trio.CancelScope) -> None:
        """Serve one stream in `scope`."""
        try:
            await stream.serve(scope)
        finally:
            self._end(stream)

    def _end(self, stream: Http2Stream) -> None:
        manager = self.manager
        del self.streams[stream.number]
        manager.http2_stats.streams_active.add(-1)
        if self.streams:
            return
        if self._goodbye_said:
            self.multiplex.over = True
            self.multiplex.wake()
        clogged = self.multiplex.clogged
        timeout = manager.stream_idle_timeout if clogged else manager.idle_timeout
        self.connection.lifetime.stand(Stand.IDLE, timeout)

    def record(self, request: Request | None) -> Record:
        """Return the record of an exchange that begins."""
        record = Record(self.manager.wall_clock(), perf_counter())
        record.request = request
        record.protocol = "HTTP/2"
        record.connection_id = self.connection.id
        record.downstream_remote = self.connection.remote
        if self.connection.tls is not None:
            record.tls = self.connection.tls
            record.server_name = self.connection.server_name or None
        return record

    def _say_why(self) -> None:
        """Its time is over: the last words are those that cost no wait."""
        lifetime, stats = self.connection.lifetime, self.manager.stats
        if not lifetime.expired:
            return
        if lifetime.worn_out:
            stats.downstream_cx_max_duration_reached.add()
        elif lifetime.drained:
            if not self._parting:
                stats.downstream_cx_drain_close.add()
        elif lifetime.stands is Stand.IDLE:
            stats.downstream_cx_idle_timeout.add()
        self._say_goodbye()
        self.multiplex.flush_nowait()
