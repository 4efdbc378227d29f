"""A stream of a client: one exchange, and how its response is written in frames."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from trioproxy.codec.errors import UnsafeMessage
from trioproxy.codec.h2.events import ErrorCode
from trioproxy.codec.messages import Framing, Response
from trioproxy.drain.lifetime import Lifetime, Stand
from trioproxy.errors import DownstreamClosed, ProxyError, UpstreamProtocolError
from trioproxy.filters.connection import LINGER, LINGER_SIZE
from trioproxy.filters.ends import StreamEnd
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.grpc import is_grpc, refusal
from trioproxy.filters.http2_upgrade import Handshake, handshake
from trioproxy.filters.tunnel import Tunnel
from trioproxy.wire.body import ArrivingBody, WholeBody
from trioproxy.wire.stream import PIECE, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    import trio

    from trioproxy.codec.messages import Request
    from trioproxy.filters.http2 import Http2Connection
    from trioproxy.headers import Headers


class Http2Stream(Stream):
    """The client's side of one exchange; `lifetime` ends it alone."""

    __slots__ = ("_answered", "_client", "_handshake", "_request", "lifetime")

    def __init__(
        self, client: Http2Connection, number: int, request: Request, *, ended: bool
    ) -> None:
        super().__init__(client.multiplex, number, DownstreamClosed)
        self._client = client
        self._request = request
        self._answered = False
        self._handshake: Handshake | None = None
        self.body.ended = ended
        self.lifetime = Lifetime(client.manager.tools.sweep, within=client.connection.lifetime)

    async def serve(self, scope: trio.CancelScope) -> None:
        """Run the exchange in `scope`, and see that the stream ends with it."""
        client, manager, request = self._client, self._client.manager, self._request
        request.scheme = client.connection.scheme.decode()
        record = client.record(request)
        if self.error is not None:  # reset before its turn came: it costs no more than this
            manager.begin(manager.stats.downstream_rq_http2_total)
            manager.stats.downstream_rq_rx_reset.add()
            record.flag(self.error.flag)
            manager.finish(record)
            return
        exchange = Exchange(
            client.connection, self, request, self._received(), record, self.lifetime
        )
        self.lifetime.run_in(scope)
        try:
            with self.lifetime:
                self.lifetime.stand(Stand.STREAM, manager.stream_idle_timeout)
                await manager.run(exchange, manager.stats.downstream_rq_http2_total)
                if exchange.complete and not self.body.ended:
                    manager.stats.downstream_rq_response_before_rq_complete.add()
                    await self._hear_out()
        finally:
            self._finish(exchange)

    def _received(self) -> WholeBody | ArrivingBody:
        """Return the body as far as it has come: most are here when their task begins."""
        request, body = self._request, self.body
        expects, request.expect_continue = request.expect_continue, False
        if request.method == "CONNECT":
            self._handshake = handshake(request)
            return WholeBody()
        if body.whole:
            return WholeBody(body.available())
        if expects:
            body.before_wait = self._invite
        return body

    def _finish(self, exchange: Exchange) -> None:
        """End the stream, whatever became of the exchange."""
        self.body.before_wait = None
        if exchange.complete:
            if not self.body.ended:
                self.reset(ErrorCode.NO_ERROR)
        elif self.error is None:
            if self.lifetime.expired and not exchange.responded and exchange.record.status:
                self._answer_nowait(exchange.record.status)
            else:
                self.cut()

    async def _hear_out(self) -> None:
        """Let the client finish for a while: some take a reset for a failure, answered or not."""
        self.lifetime.stand(Stand.STREAM, LINGER)
        left = LINGER_SIZE
        with suppress(ProxyError):
            while left > 0 and (piece := await self.body.read()):
                left -= len(piece)

    def _answer_nowait(self, status: int) -> None:
        response = Response(status=status, content_length=0)
        if is_grpc(self._request):
            response = refusal(status, "")
        self._client.codec.send_response(self.number, response, ended=True)
        if not self.body.ended:
            self.reset(ErrorCode.NO_ERROR)
        self.multiplex.wake()

    def _invite(self) -> None:
        if not self._answered:
            self._client.codec.send_response(self.number, Response(status=100))
            self.multiplex.wake()

    async def inform(self, response: Response) -> None:
        """Send an interim response; raises DownstreamClosed."""
        self._send_head(response, ended=False)

    def received(self) -> None:
        """Take note of the end of the request: the frames have told of it."""

    def cut(self) -> None:
        """Reset the stream, unless it is over."""
        if self.error is None:
            self.error = self.gone()
            self._client.manager.http2_stats.tx_reset.add()
            self.reset(ErrorCode.INTERNAL_ERROR)

    async def respond(self, exchange: Exchange) -> None:
        """Send the response, head and body, to the end; raises DownstreamClosed."""
        response, body, record = exchange.response, exchange.response_body, exchange.record
        assert response is not None
        if self._handshake is not None:
            self._check_switch(self._handshake, response, body, exchange)
        record.status, record.response = response.status, response
        if exchange.request.method == "HEAD":
            response.bodiless = True
        if self._client.manager.health.failed:
            self._client.drain()
        if type(body) is WholeBody:
            await self._send_whole(response, body, exchange)
        elif isinstance(body, Tunnel):
            await self._tunnel(body, response, exchange)
        else:
            await self._stream(response, body, exchange)

    async def _send_whole(self, response: Response, body: WholeBody, exchange: Exchange) -> None:
        data = body.available()
        if not may_have_body(response):
            data = b""
        elif data:
            response.content_length = len(data)
            response.chunked = False
        exchange.record.bytes_sent = len(data)
        trailers = exchange.response_trailers
        ended = not trailers.fields
        self._begin(response, exchange, ended=ended and not data)
        for start in range(0, len(data), PIECE):
            self.lifetime.touch()
            piece = data if len(data) <= PIECE else data[start : start + PIECE]
            await self.send(piece, ended=ended and start + PIECE >= len(data))
        if not ended:
            self._send_trailers(trailers)

    async def _stream(
        self, response: Response, body: AsyncIterable[bytes], exchange: Exchange
    ) -> None:
        if not may_have_body(response):
            self._begin(response, exchange, ended=True)
        elif isinstance(body, ArrivingBody):
            await self._relay(response, body, exchange)
        else:
            response.content_length = None
            self._begin(response, exchange, ended=False)
            async for piece in body:
                self._note(exchange, piece)
                await self.send(piece)
            await self._end(b"", exchange.response_trailers)

    async def _relay(self, response: Response, body: ArrivingBody, exchange: Exchange) -> None:
        """Send on a body as it comes, with what comes behind it."""
        try:
            piece = body.available()
        except UpstreamProtocolError:
            exchange.responded = False  # nothing has been sent: it can still be answered
            exchange.record.details = None
            raise
        self._begin(response, exchange, ended=False)
        while not body.done:
            if piece:
                self._note(exchange, piece)
                await self.send(piece)
            piece = await body.read()
        self._note(exchange, piece)
        await self._end(piece, body.trailers)

    async def _end(self, piece: bytes, trailers: Headers) -> None:
        """Send the last piece, and what comes behind it."""
        if not trailers.fields:
            await self.send(piece, ended=True)
            return
        if piece:
            await self.send(piece)
        self._send_trailers(trailers)

    def _send_trailers(self, trailers: Headers) -> None:
        try:
            self.send_trailers(trailers)
        except UnsafeMessage as error:
            raise UpstreamProtocolError(str(error)) from error

    def _note(self, exchange: Exchange, piece: bytes) -> None:
        self.lifetime.touch()
        exchange.record.bytes_sent += len(piece)

    def _begin(self, response: Response, exchange: Exchange, *, ended: bool) -> None:
        """Send the head; where it cannot be sent, the exchange can still be answered."""
        try:
            self._send_head(response, ended=ended)
        except UnsafeMessage:
            exchange.responded = False
            raise
        self._answered = True

    def _send_head(self, response: Response, *, ended: bool) -> None:
        if not self._client.codec.send_response(self.number, response, ended=ended):
            raise self.gone()
        self.multiplex.wake()

    @staticmethod
    def _check_switch(
        handshake: Handshake,
        response: Response,
        body: AsyncIterable[bytes] | Tunnel,
        exchange: Exchange,
    ) -> None:
        """See that a CONNECT is answered with success only where it has succeeded."""
        if isinstance(body, Tunnel):
            try:
                handshake.check(response)
            except UpstreamProtocolError:
                exchange.responded = False
                raise
        elif 200 <= response.status < 300:
            exchange.responded = False
            raise UpstreamProtocolError("does not switch protocols, but says that it succeeded")

    async def _tunnel(self, tunnel: Tunnel, response: Response, exchange: Exchange) -> None:
        stats = self._client.manager.stats
        stats.downstream_cx_upgrades_total.add()
        self._begin(response, exchange, ended=False)
        stats.downstream_cx_upgrades_active.add()
        try:
            await tunnel.join(StreamEnd(self), self.lifetime, exchange.record)
        finally:
            stats.downstream_cx_upgrades_active.add(-1)


def may_have_body(response: Response) -> bool:
    """Whether a body may follow a response."""
    return response.framing_to(1) is not Framing.NONE
