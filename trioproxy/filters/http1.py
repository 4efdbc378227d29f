"""The client's side of HTTP/1.1: one exchange after the other on a downstream connection."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import trio

from trioproxy.accesslog.record import Record
from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.messages import Response
from trioproxy.drain.lifetime import Stand
from trioproxy.errors import DownstreamClosed, DownstreamProtocolError
from trioproxy.filters.exchange import Exchange, reason_phrase
from trioproxy.filters.handover import Moving
from trioproxy.filters.http1_response import ResponseWriter
from trioproxy.filters.http1_resume import resume
from trioproxy.filters.offer import HTTP1, TUNNEL, Offer
from trioproxy.reactor.epoll import GONE
from trioproxy.wire.body import WholeBody, WireBody, body_of
from trioproxy.wire.reader import HEAD_END, HeadTooLarge, Reader, Truncated

if TYPE_CHECKING:
    from trioproxy.codec.messages import Request
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.http_managing import HttpManaging

PREFACE_HEAD = b"PRI * HTTP/2.0"  # RFC 9113 section 3.4: it is made to be no HTTP/1 request
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
REQUEST_SIZE = 80 * 1024  # a head and a body of 64 KiB, in one piece where it came as one
PROTOCOLS = ("HTTP/1.0", "HTTP/1.1")


class Http1Connection:
    """Reads requests, has the manager run each through its filters, and keeps the connection.

    `over` tells that there is no one left to say anything to.
    """

    __slots__ = (
        "_counted",
        "_first",
        "_parting",
        "connection",
        "exchange",
        "manager",
        "over",
        "preface",
        "reader",
        "requests",
        "transport",
    )

    def __init__(self, connection: Connection, manager: HttpManaging) -> None:
        self.connection = connection
        self.manager = manager
        connection.protocol = "HTTP/1.1"
        self.transport = connection.transport
        self.reader = Reader(connection.transport, REQUEST_SIZE)
        inheritance = connection.inheritance
        self.requests = inheritance.offer.requests if inheritance else 0
        self._first = self.requests + 1
        self.exchange: Exchange | None = None
        self._parting = False
        self._counted = False
        self.preface = b""
        self.over = False
        self.transport.on_hangup = self._hung_up
        connection.lifetime.mover = self._move
        connection.lifetime.spoken_to = self._spoken_to

    def __repr__(self) -> str:
        return f"<Http1Connection {self.connection.id}, request count {self.requests}>"

    @property
    def busy(self) -> bool:
        """Whether it is in the middle of an exchange."""
        return self.exchange is not None

    def forget(self) -> None:
        """Let go of what knows it: it shall not need a collector to be gone."""
        self.exchange = None

    async def serve(self) -> None:
        """Serve until either side has enough; raises OSError of the client's socket.

        Where the client turns out to speak HTTP/2, what it has said of it is in `preface`.
        """
        received = self.manager.stats.downstream_cx_rx_bytes_total
        inheritance = self.connection.inheritance
        try:
            if inheritance is not None and inheritance.offer.kind == TUNNEL:
                self._count()
                await resume(self, inheritance)
                return
            writer = ResponseWriter(self)  # not kept here: two that hold each other are garbage
            while await self._serve_one(writer):
                received.add(self.reader.take_count())
        except trio.Cancelled:
            self._say_why()
            raise
        finally:
            if not self.preface:
                received.add(self.reader.take_count())
            if self._counted:
                self.manager.stats.downstream_cx_http1_active.add(-1)

    async def _serve_one(self, writer: ResponseWriter) -> bool:
        """Serve the next request; returns whether another may follow."""
        lifetime, manager = self.connection.lifetime, self.manager
        lifetime.stand(Stand.IDLE, manager.idle_timeout)
        try:
            if lifetime.called and await self._offer():
                return False
            request = await self._next_request()
        except Moving:
            return True
        if request is None:
            return False
        lifetime.stand(Stand.STREAM, manager.stream_idle_timeout)
        self.requests += 1
        body = self._body(request)
        writer.begin(body)
        record = self._record(request)
        self.exchange = exchange = Exchange(self.connection, writer, request, body, record)
        if self.requests == self._first or not request.keep_alive:
            self.transport.look_ahead()  # later ones come behind a look of the reactor
        if self.transport.hangup and not body.done:
            self._hung_up(0)
        await manager.run(exchange, manager.stats.downstream_rq_http1_total)
        if exchange.complete:
            self.exchange = None
        if writer.keep_alive and body.done:
            return True
        await self._part(exchange, body)
        return False

    async def _part(self, exchange: Exchange, body: WholeBody | WireBody) -> None:
        """Have done with a client after its last exchange; it may still be talking."""
        if exchange.complete and not body.done:
            self.manager.stats.downstream_rq_response_before_rq_complete.add()
        said_all = body.done and not exchange.request.keep_alive and not self.reader.pending
        if not self.over and not said_all:
            await self._linger()

    async def _next_request(self) -> Request | None:
        """Return the next request head; None where there is none, or none that will do."""
        manager = self.manager
        try:
            head = await self.reader.head(manager.max_request_headers, self._begun)
            if head is None:
                return None
            if not self._counted:
                if head == PREFACE_HEAD and manager.detects_http2:
                    self.preface = PREFACE_HEAD + HEAD_END + self.reader.pending
                    return None
                self._count()
            request = manager.codec.parse_request(head)
            if self.connection.tls is not None:
                request.scheme = "https"
            return request
        except HeadTooLarge:
            await self._refuse(431, "request headers too large")
        except MalformedMessage as error:
            await self._refuse(error.status, error.detail)
        except Truncated:
            self.manager.stats.downstream_cx_protocol_error.add()
        return None

    def _count(self) -> None:
        """Count a connection as one of HTTP/1: now that it has said something, it is known."""
        stats = self.manager.stats
        self._counted = True
        if self.connection.inheritance is None:
            stats.downstream_cx_http1_total.add()
        stats.downstream_cx_http1_active.add()

    def _move(self) -> None:
        """Offer it to the next generation now, if it is idle; if not, that comes before it is."""
        if self.connection.lifetime.stands is Stand.IDLE and not self._parting:
            self.transport.interrupt(Moving())

    def _spoken_to(self) -> bool:
        """Whether a request has arrived that nobody has seen: to close now would reset it."""
        return not self._parting and self.transport.unread() > 0

    async def _offer(self) -> bool:
        if self.reader.pending:
            return False  # the next request is here already
        connection = self.connection
        offer = Offer(HTTP1, connection.listener, connection.lifetime.age, requests=self.requests)
        return await self.manager.tools.handover.offer(connection, offer)

    def _hung_up(self, event: int) -> None:
        """End the exchange, wherever it waits: the client has left.

        FIN alone is taken for leaving, too, as Envoy does, unless it came with the request: such a
        client has only closed its half, and is answered. A FIN came with the request if the kernel
        had it when the reactor saw the request's last bytes arrive, or, for the first request of a
        connection, one that says `close` or one with a long body, when all of it was read.
        """
        exchange = self.exchange
        if exchange is None or exchange.complete or self.over:
            return
        if event & GONE or not self._goes_on(exchange):
            self.connection.lifetime.abandon()

    def _goes_on(self, exchange: Exchange) -> bool:
        """Whether the rest of the request may be here, so that its reader comes to the FIN."""
        here = len(self.reader.pending) + self.transport.unread()
        return not exchange.received_all and exchange.missing <= here

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
            try:
                sent = self.transport.send_nowait(CONTINUE)
            except OSError as error:
                raise DownstreamClosed(error.strerror or str(error)) from error
            if sent < len(CONTINUE):  # a part would stand in the way of the response
                raise DownstreamClosed("it does not read what it has asked for")

    def _record(self, request: Request | None) -> Record:
        record = Record(self.manager.wall_clock(), perf_counter())
        record.request = request
        record.protocol = PROTOCOLS[1 if request is None else request.minor]
        record.connection_id = self.connection.id
        record.downstream_remote = self.connection.remote
        if self.connection.tls is not None:
            record.tls = self.connection.tls
            record.server_name = self.connection.server_name or None
        return record

    def _begun(self) -> None:
        """A part of a head has come: the client is not idle any more."""
        self.connection.lifetime.stand(Stand.STREAM, self.manager.request_headers_timeout)

    async def _refuse(self, status: int, detail: str) -> None:
        """Answer what cannot be understood, and have done with the connection."""
        self._parting = True
        self.manager.stats.downstream_cx_protocol_error.add()
        record = self._record(None)
        record.flag("DPE")
        record.status, record.details = status, detail
        self.manager.begin(self.manager.stats.downstream_rq_http1_total)
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
        if not lifetime.expired or self._parting:
            return
        if exchange is not None:
            if not exchange.responded:
                self._answer_nowait(exchange.record.status)
        elif lifetime.worn_out:
            stats.downstream_cx_max_duration_reached.add()
        elif lifetime.drained:
            stats.downstream_cx_drain_close.add()
            if lifetime.stands is Stand.STREAM:  # a part of a request: RFC 9110 section 15.5.9
                self._answer_nowait(408)
        elif lifetime.stands is Stand.IDLE:
            stats.downstream_cx_idle_timeout.add()
        else:
            self._time_out()

    def _time_out(self) -> None:
        """A request head took too long to come in: answer what there is of it."""
        manager, record = self.manager, self._record(None)
        manager.stats.downstream_rq_header_timeout.add()
        manager.begin(manager.stats.downstream_rq_http1_total)
        record.status, record.details = 408, "request_header_timeout"
        self._answer_nowait(408)
        manager.finish(record)

    def _answer_nowait(self, status: int) -> None:
        try:
            self.transport.send_nowait(self._local_answer(status))
        except OSError:
            return

    async def _linger(self) -> None:
        self._parting = True
        if not await self.connection.linger():
            self.manager.stats.downstream_cx_delayed_close_timeout.add()
