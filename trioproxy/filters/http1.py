"""The client's side of HTTP/1.1: one exchange after the other on a downstream connection."""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

import trio

from trioproxy.accesslog.record import Record
from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.messages import Response
from trioproxy.drain.lifetime import Stand
from trioproxy.errors import DownstreamClosed, DownstreamProtocolError
from trioproxy.filters.exchange import Exchange, reason_phrase
from trioproxy.filters.http1_response import ResponseWriter
from trioproxy.wire.body import WholeBody, WireBody, body_of
from trioproxy.wire.reader import HeadTooLarge, Reader, Truncated

if TYPE_CHECKING:
    from trioproxy.codec.messages import Request
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.http_managing import HttpManaging

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LINGER = 1.0  # s, Envoy's delayed_close_timeout
LINGER_SIZE = 1 << 20
PROTOCOLS = ("HTTP/1.0", "HTTP/1.1")


class Http1Connection:
    """Reads requests, has the manager run each through its filters, and keeps the connection."""

    __slots__ = ("_writer", "connection", "exchange", "manager", "reader", "requests", "transport")

    def __init__(self, connection: Connection, manager: HttpManaging) -> None:
        self.connection = connection
        self.manager = manager
        self.transport = connection.transport
        self.reader = Reader(connection.transport)
        self.requests = 0
        self.exchange: Exchange | None = None
        self._writer = ResponseWriter(self)

    def __repr__(self) -> str:
        return f"<Http1Connection {self.connection.id}, request count {self.requests}>"

    async def serve(self) -> None:
        """Serve until either side has enough; raises OSError of the client's socket."""
        received = self.manager.stats.downstream_cx_rx_bytes_total
        try:
            while await self._serve_one():
                received.add(self.reader.take_count())
        except trio.Cancelled:
            self._say_why()
            raise
        finally:
            received.add(self.reader.take_count())

    async def _serve_one(self) -> bool:
        """Serve the next request; returns whether another may follow."""
        lifetime, manager = self.connection.lifetime, self.manager
        lifetime.stand(Stand.IDLE, manager.idle_timeout)
        request = await self._next_request()
        if request is None:
            return False
        lifetime.stand(Stand.STREAM, manager.stream_idle_timeout)
        self.requests += 1
        body = self._body(request)
        writer = self._writer
        writer.begin(body)
        record = self._record(request)
        self.exchange = exchange = Exchange(self.connection, writer, request, body, record)
        await manager.run(exchange)
        if exchange.complete:
            self.exchange = None
        if writer.keep_alive and body.done:
            return True
        if exchange.complete and not body.done:
            manager.stats.downstream_rq_response_before_rq_complete.add()
        if not writer.over and (request.keep_alive or not body.done or self.reader.pending):
            await self._linger()
        return False

    async def _next_request(self) -> Request | None:
        """Return the next request head; None where there is none, or none that will do."""
        manager = self.manager
        try:
            head = await self.reader.head(manager.max_request_headers, self._begun)
            return None if head is None else manager.codec.parse_request(head)
        except HeadTooLarge:
            await self._refuse(431, "request headers too large")
        except MalformedMessage as error:
            await self._refuse(error.status, error.detail)
        except Truncated:
            self.manager.stats.downstream_cx_protocol_error.add()
        return None

    def _body(self, request: Request) -> WholeBody | WireBody:
        body = body_of(
            request, self.reader, closed=DownstreamClosed, malformed=DownstreamProtocolError
        )
        if request.expect_continue:
            request.expect_continue = False
            if isinstance(body, WireBody):
                body.before_wait = self._invite
        return body

    def _invite(self) -> None:
        if self.exchange is None or not self.exchange.responded:
            self.transport.send_nowait(CONTINUE)

    def _record(self, request: Request | None) -> Record:
        record = Record(self.manager.wall_clock(), perf_counter())
        record.request = request
        record.protocol = PROTOCOLS[1 if request is None else request.minor]
        record.connection_id = self.connection.id
        record.downstream_remote = self.connection.remote
        return record

    def _begun(self) -> None:
        """A part of a head has come: the client is not idle any more."""
        self.connection.lifetime.stand(Stand.STREAM, self.manager.request_headers_timeout)

    async def _refuse(self, status: int, detail: str) -> None:
        """Answer what cannot be understood, and have done with the connection."""
        self.manager.stats.downstream_cx_protocol_error.add()
        record = self._record(None)
        record.flags, record.details = "DPE", detail
        record.status = status
        try:
            await self.transport.send(self._local_answer(status))
        finally:
            self.manager.finish(record)
        await self._linger()

    def _local_answer(self, status: int) -> bytes:
        response = Response(status=status, reason=reason_phrase(status), content_length=0)
        return self.manager.codec.encode_response(response, keep_alive=False)

    def _say_why(self) -> None:
        """Its time is over: tell the client, if it can still be told and it costs no wait."""
        lifetime, exchange, stats = self.connection.lifetime, self.exchange, self.manager.stats
        if not lifetime.expired:
            return
        if exchange is not None:
            if not exchange.responded:
                self._answer_nowait(exchange.record.status)
        elif lifetime.stands is Stand.LIFE:
            stats.downstream_cx_delayed_close_timeout.add()
        elif lifetime.worn_out:
            stats.downstream_cx_max_duration_reached.add()
        elif lifetime.drained:
            stats.downstream_cx_drain_close.add()
        elif lifetime.stands is Stand.IDLE:
            stats.downstream_cx_idle_timeout.add()
        else:
            stats.downstream_rq_header_timeout.add()
            self._answer_nowait(408)

    def _answer_nowait(self, status: int) -> None:
        try:
            self.transport.send_nowait(self._local_answer(status))
        except OSError:
            return

    async def _linger(self) -> None:
        """Let the client read our last words: a close with unread input would reset them."""
        self.transport.shutdown_write()
        self.connection.lifetime.stand(Stand.LIFE, LINGER)
        left: float = LINGER_SIZE if not self.transport.hangup else inf
        while left > 0:
            data = await self.transport.receive()
            if not data:
                return
            left -= len(data)
