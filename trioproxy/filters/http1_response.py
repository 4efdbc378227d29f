"""Writing a response to an HTTP/1.1 client: its head, then its body in whatever framing fits."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from trioproxy.codec.body import encode_chunk, encode_trailers
from trioproxy.codec.errors import UnsafeMessage
from trioproxy.codec.messages import Framing
from trioproxy.errors import DownstreamClosed, DownstreamProtocolError, UpstreamProtocolError
from trioproxy.filters.offer import TUNNEL, Offer, to_text
from trioproxy.filters.tunnel import Tunnel
from trioproxy.wire.body import ArrivingBody, WholeBody, WireBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from trioproxy.accesslog.record import Record
    from trioproxy.codec.messages import Response
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http1 import Http1Connection

PUMP_FROM = 32 * 1024
TOO_LARGE_TO_JOIN = 16 * 1024


class ResponseWriter:
    """The client's side of each exchange of a connection, one after the other.

    `keep_alive` tells whether another exchange may follow.
    """

    __slots__ = ("_client", "_codec", "_request_body", "_sent", "_transport", "keep_alive")

    _request_body: WholeBody | WireBody

    def __init__(self, client: Http1Connection) -> None:
        self._client = client
        self._codec = client.manager.codec
        self._transport = client.transport
        self._sent = client.manager.stats.downstream_cx_tx_bytes_total
        self.keep_alive = False

    def begin(self, request_body: WholeBody | WireBody) -> None:
        """Begin an exchange."""
        self._request_body = request_body
        self.keep_alive = False

    async def inform(self, response: Response) -> None:
        """Send an interim response; raises DownstreamClosed."""
        await self._send(self._codec.encode_response(response))

    def received(self) -> None:
        """Take note of the end of the request: a FIN right behind it belongs to it."""
        self._transport.look_ahead()

    def cut(self) -> None:
        """Reset the connection in the middle of a response."""
        self.keep_alive = False
        self._client.over = True
        self._transport.abort()

    async def respond(self, exchange: Exchange) -> None:
        """Send the response, head and body, to the end; raises DownstreamClosed."""
        response, body, record = exchange.response, exchange.response_body, exchange.record
        assert response is not None
        record.status = response.status
        record.response = response
        if exchange.request.method == "HEAD":
            response.bodiless = True
        if type(body) is WholeBody:
            data = body.available() if self._may_have_body(response) else b""
            record.bytes_sent = len(data)
            head = self._head(response, exchange, len(data))
            if len(data) < TOO_LARGE_TO_JOIN:
                await self._send(head + data)
            else:
                await self._send_both(head, data)
        elif isinstance(body, Tunnel):
            await self._tunnel(body, response, exchange)
        else:
            await self._stream(response, body, exchange)

    def _head(self, response: Response, exchange: Exchange, length: int | None) -> bytes:
        """Decide on framing and keep-alive, and write the head."""
        minor = exchange.request.minor
        if length is not None and self._may_have_body(response):
            response.content_length = length
            response.chunked = False
        try:
            self.keep_alive = self._keeps_alive(exchange)
            return self._codec.encode_response(response, minor=minor, keep_alive=self.keep_alive)
        except (UnsafeMessage, DownstreamProtocolError):
            exchange.responded = False  # nothing has been sent: it can still be answered
            raise

    @staticmethod
    def _may_have_body(response: Response) -> bool:
        return (
            not response.bodiless and response.status >= 200 and response.status not in (204, 304)
        )

    def _keeps_alive(self, exchange: Exchange) -> bool:
        client = self._client
        manager = client.manager
        if not self._request_body.done:
            self._request_body.available()  # what is here already need not cost the connection
        if not exchange.request.keep_alive or not self._request_body.done:
            return False
        if client.requests >= manager.max_requests:
            manager.stats.downstream_cx_max_requests_reached.add()
            return False
        if client.connection.lifetime.noticed or manager.health.failed:
            manager.stats.downstream_cx_drain_close.add()
            return False
        return True

    async def _stream(
        self, response: Response, body: AsyncIterable[bytes], exchange: Exchange
    ) -> None:
        minor, record = exchange.request.minor, exchange.record
        if not isinstance(body, ArrivingBody):
            response.content_length = None
        if minor and response.framing is Framing.UNTIL_CLOSE:
            response.chunked = True
        framing = response.framing_to(minor)
        head = self._head(response, exchange, None)
        if framing is Framing.UNTIL_CLOSE:
            self.keep_alive = False
        first = self._first(body, exchange)
        record.bytes_sent = len(first)
        if framing is Framing.CHUNKED:
            head += encode_chunk(first)
            if isinstance(body, ArrivingBody) and body.done:
                await self._send(head + encode_trailers(body.trailers))
            else:
                await self._send(head)
                await self._relay_chunked(body, exchange)
        elif framing is Framing.NONE:
            await self._send(head)
        else:
            await self._send(head + first)
            await self._relay(body, exchange)

    @staticmethod
    def _first(body: AsyncIterable[bytes], exchange: Exchange) -> bytes:
        """Return what of the body has come with the head; raises UpstreamProtocolError."""
        if not isinstance(body, ArrivingBody):
            return b""
        try:
            return body.available()
        except UpstreamProtocolError:
            exchange.responded = False  # nothing has been sent: it can still be answered
            exchange.record.details = None
            raise

    async def _relay(self, body: AsyncIterable[bytes], exchange: Exchange) -> None:
        if isinstance(body, WireBody) and body.left >= PUMP_FROM:
            await self._pump(body, exchange)
            return
        record, touch = exchange.record, exchange.lifetime.touch
        async for piece in body:
            touch()
            record.bytes_sent += len(piece)
            await self._send(piece)

    async def _relay_chunked(self, body: AsyncIterable[bytes], exchange: Exchange) -> None:
        record, touch = exchange.record, exchange.lifetime.touch
        async for piece in body:
            touch()
            record.bytes_sent += len(piece)
            await self._send(encode_chunk(piece))
        await self._send(encode_trailers(exchange.response_trailers))

    async def _pump(self, body: WireBody, exchange: Exchange) -> None:
        """Have the reactor move what is left of a body of known length."""
        record, touch, count = exchange.record, exchange.lifetime.touch, self._sent
        left = body.left

        def progress(forth: int, _back: int) -> None:
            nonlocal left
            touch()
            record.bytes_sent += forth
            count.add(forth)
            left -= forth
            exchange.complete = not left  # the client may leave before our task comes to know

        try:
            await body.pump(self._transport, self._client.manager.pipes, progress)
        except OSError as error:
            raise DownstreamClosed(error.strerror or str(error)) from error

    async def _tunnel(self, tunnel: Tunnel, response: Response, exchange: Exchange) -> None:
        stats, reader = self._client.manager.stats, self._client.reader
        self._client.over = True
        said, reader.pending = reader.pending, b""
        reader.received -= len(said)  # it is counted with what flows
        stats.downstream_cx_upgrades_total.add()
        await self._send(self._codec.encode_response(response))
        head = self._codec.encode_request(exchange.request)
        await self.tunnel(tunnel, exchange.record, said, head)

    async def tunnel(self, tunnel: Tunnel, record: Record, said: bytes, head: bytes) -> None:
        """Let the bytes flow, to the end or to the next generation, which is told the `head`.

        Raises DownstreamClosed, UpstreamReset.
        """
        client, stats, reader = self._client, self._client.manager.stats, self._client.reader

        def count(forth: int, back: int) -> None:
            reader.received += forth
            if reader.received > 0:
                stats.downstream_cx_rx_bytes_total.add(reader.take_count())
            stats.downstream_cx_tx_bytes_total.add(back)

        def describe() -> Offer:
            facts = record.facts(perf_counter())
            return Offer(TUNNEL, "", 0.0, head=to_text(head), facts=facts)

        stats.downstream_cx_upgrades_active.add()
        try:
            await tunnel.run(
                client.connection, record, client.manager.tools, count, describe, said=said
            )
        finally:
            stats.downstream_cx_upgrades_active.add(-1)

    async def _send(self, data: bytes) -> None:
        self._sent.add(len(data))
        try:
            sent = self._transport.send_nowait(data)
            if sent < len(data):
                await self._transport.send(memoryview(data)[sent:])
        except OSError as error:
            raise DownstreamClosed(error.strerror or str(error)) from error

    async def _send_both(self, head: bytes, body: bytes) -> None:
        self._sent.add(len(head) + len(body))
        try:
            sent = self._transport.send_both_nowait(head, body)
            if sent < len(head) + len(body):
                await self._transport.send(memoryview(head + body)[sent:])
        except OSError as error:
            raise DownstreamClosed(error.strerror or str(error)) from error
