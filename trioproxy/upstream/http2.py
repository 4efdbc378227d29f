"""An HTTP/2 connection to a host: many requests at a time, driven by a task of its own.

Requests come and go in the tasks of their exchanges; the connection outlives them, so its task is
the worker's. It ends when the host closes it, when it was idle for long, and, once it is parting,
with its last stream.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from trioproxy.codec.h2 import events
from trioproxy.codec.h2.client import ClientConnection
from trioproxy.codec.h2.events import ErrorCode
from trioproxy.errors import (
    ProxyError,
    RequestRefused,
    StreamCut,
    UpstreamProtocolError,
)
from trioproxy.upstream.http2_stream import UpstreamStream
from trioproxy.wire.keepalive import KeepAlive
from trioproxy.wire.multiplex import Multiplex

if TYPE_CHECKING:
    from trioproxy.codec.messages import Request
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.upstream.http2_pool import Http2Pool


class Idle(ProxyError):
    """Nobody has used the connection for the cluster's idle_timeout."""


class Http2Upstream:
    """One connection of a pool; once it is `parting` it takes no new requests.

    `introduced`: the host has sent its settings.
    """

    __slots__ = ("_pool", "codec", "connection", "introduced", "multiplex", "parting", "streams")

    multiplex: Multiplex

    def __init__(self, pool: Http2Pool, connection: UpstreamConnection) -> None:
        self._pool = pool
        self.connection = connection
        self.codec = ClientConnection(pool.limits, pool.codec)
        stats = pool.cluster.stats
        self.multiplex = Multiplex(
            connection.transport,
            self.codec,
            self._handle,
            stats.upstream_cx_rx_bytes_total,
            stats.upstream_cx_tx_bytes_total,
        )
        self.streams: dict[int, UpstreamStream] = {}
        self.introduced = False
        self.parting = False
        connection.wait_until(pool.idle_until(), Idle)

    def __repr__(self) -> str:
        return f"<Http2Upstream {self.connection.host.name}, {len(self.streams)} streams>"

    @property
    def has_room(self) -> bool:
        """Whether it takes another request now."""
        return (
            not self.parting and len(self.streams) < self._pool.most_streams and self.codec.can_open
        )

    async def run(self) -> None:
        """Serve its streams until it ends."""
        pool, options = self._pool, self._pool.options
        sweep, lost = self.connection.sweep, pool.stats.keepalive_timeout
        interval, timeout = options.keepalive_interval, options.keepalive_timeout
        keepalive = KeepAlive(self.multiplex, sweep, interval, timeout, lost)
        keepalive.begin()
        why = "closed"
        try:
            why = await self._run()
        finally:
            keepalive.end()
            self._close(why)

    async def _run(self) -> str:
        """Read and write as long as it lasts; returns why it does not any more."""
        while True:
            try:
                await self.multiplex.run()
            except Idle:
                if not self.streams:  # else somebody has come in this very turn
                    self._pool.cluster.stats.upstream_cx_idle_timeout.add()
                    return "idle"
            except OSError as error:
                return error.strerror or str(error)
            else:
                return "closed by the host"

    def _close(self, why: str) -> None:
        busy = bool(self.streams)
        self.part()
        for stream in self.streams.values():
            stream.lose(why)
        self.multiplex.release()
        if not self.connection.transport.hangup and not self.codec.failed:
            self._pool.stats.goaway_sent.add()
            self.codec.goaway()
            self.multiplex.flush_nowait()
        self.connection.end(active_rq=busy)
        self.multiplex.forget()

    def part(self) -> None:
        """Take no new requests, and close when there are none left."""
        if not self.parting:
            self.parting = True
            self._pool.forget(self)
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self.parting and not self.streams:
            self.multiplex.over = True
            self.multiplex.wake()

    def open(self, request: Request, *, ended: bool) -> UpstreamStream:
        """Send a request's head; only where it `has_room`. Raises UnsafeMessage."""
        number = self.codec.send_request(request, ended=ended)
        self.multiplex.wake()
        stream = self.streams[number] = UpstreamStream(self, number)
        self.connection.sweep.timed.add(stream.bound)
        self.connection.requests += 1
        self.connection.when = inf
        self._pool.stats.streams_active.add()
        self._look_at_wear()
        return stream

    def _look_at_wear(self) -> None:
        if not self.parting and self._pool.is_worn(self.connection):
            self.part()

    def leave(self, stream: UpstreamStream, *, clean: bool) -> None:
        """A stream's task is done with it."""
        if not clean and stream.error is None:
            self._pool.stats.tx_reset.add()
            stream.reset(ErrorCode.CANCEL)
        del self.streams[stream.number]
        self.connection.sweep.timed.discard(stream.bound)
        stream.bound.forget()
        self._pool.stats.streams_active.add(-1)
        self._look_at_wear()
        if not self.streams:
            self.connection.when = self._pool.idle_until()
            self._close_if_done()
        self._pool.has_room()

    def _handle(self, event: events.Event) -> None:
        """Have the task that an event is for take note of it."""
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            self._tell(stream, event)
        elif isinstance(event, events.SettingsReceived):
            self.introduced = True
            self._pool.has_room()
        elif isinstance(event, events.GoawayReceived):
            self._pool.cluster.stats.upstream_cx_close_notify.add()
            self.part()
        elif isinstance(event, events.ConnectionFailed):
            self._fail(event)

    def _tell(self, stream: UpstreamStream, event: events.Event) -> None:
        if isinstance(event, events.ResponseReceived):
            stream.answer(event.response, ended=event.ended)
        elif isinstance(event, events.DataReceived):
            stream.body.feed(event.data, ended=event.ended)
        elif isinstance(event, events.TrailersReceived):
            self._pool.stats.trailers.add()
            stream.body.end(event.trailers)
        elif isinstance(event, events.WindowOpened):
            stream.window_opened()
        elif isinstance(event, events.StreamReset):
            stream.fail(self._reason(event))

    def _reason(self, event: events.StreamReset) -> ProxyError:
        stats = self._pool.stats
        if not event.by_peer:
            stats.tx_reset.add()
            stats.rx_messaging_error.add()
            return UpstreamProtocolError(event.detail)
        stats.rx_reset.add()
        if event.code == ErrorCode.REFUSED_STREAM:
            stats.stream_refused_errors.add()
            return RequestRefused(event.detail or "refused by the host")
        return StreamCut(event.detail or "reset by the host")

    def _fail(self, event: events.ConnectionFailed) -> None:
        self._pool.stats.exceeded(event.limit)
        self._pool.stats.goaway_sent.add()
        why = UpstreamProtocolError(event.detail)
        for stream in self.streams.values():
            stream.fail(why)
        self.part()
        self.multiplex.over = True
