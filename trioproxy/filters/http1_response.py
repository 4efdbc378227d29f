"""Writing a response to an HTTP/1.1 client: its head, then its body in whatever framing fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.body import encode_chunk, encode_trailers
from trioproxy.codec.messages import Framing
from trioproxy.errors import DownstreamClosed
from trioproxy.filters.tunnel import Tunnel
from trioproxy.wire.body import WireBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from trioproxy.codec.messages import Response
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http1 import Http1Connection

PUMP_FROM = 32 * 1024


class ResponseWriter:
    """The client's side of one exchange; `keep_alive` tells whether another may follow."""

    __slots__ = ("_client", "_request_body", "keep_alive", "tunnelled")

    def __init__(self, client: Http1Connection, request_body: WireBody) -> None:
        self._client = client
        self._request_body = request_body
        self.keep_alive = False
        self.tunnelled = False

    async def inform(self, response: Response) -> None:
        """Send an interim response; raises DownstreamClosed."""
        await self._send(self._client.manager.codec.encode_response(response))

    def cut(self) -> None:
        """Reset the connection in the middle of a response."""
        self.keep_alive = False
        self.tunnelled = True
        self._client.transport.abort()

    async def respond(self, exchange: Exchange) -> None:
        """Send the response, head and body, to the end; raises DownstreamClosed."""
        response, body = exchange.response, exchange.response_body
        assert response is not None
        exchange.record.status = response.status
        exchange.record.response = response
        if isinstance(body, Tunnel):
            await self._tunnel(body, response, exchange)
            return
        if exchange.request.method == "HEAD":
            response.bodiless = True
        elif isinstance(body, bytes):
            response.content_length = len(body)
            response.chunked = False
        elif not isinstance(body, WireBody):
            response.content_length = None
        minor = exchange.request.minor
        if minor and response.framing is Framing.UNTIL_CLOSE:
            response.chunked = True
        framing = response.framing_to(minor)
        self.keep_alive = framing is not Framing.UNTIL_CLOSE and self._keeps_alive(exchange)
        head = self._client.manager.codec.encode_response(
            response, minor=minor, keep_alive=self.keep_alive
        )
        if framing is Framing.NONE:
            await self._send(head)
        elif isinstance(body, bytes):
            exchange.record.bytes_sent = len(body)
            await self._send(head + body)
        else:
            await self._stream(head, body, framing, exchange)

    async def _tunnel(self, tunnel: Tunnel, response: Response, exchange: Exchange) -> None:
        client, stats = self._client, self._client.manager.stats
        self.tunnelled = True
        stats.downstream_cx_upgrades_total.add()
        stats.downstream_cx_upgrades_active.add()
        try:
            await self._send(client.manager.codec.encode_response(response))
            await tunnel.run(exchange, client.reader, client.manager.pipes)
        except OSError:
            client.transport.abort()
        finally:
            stats.downstream_cx_upgrades_active.add(-1)

    def _keeps_alive(self, exchange: Exchange) -> bool:
        manager, connection = self._client.manager, self._client.connection
        if not self._request_body.done:
            self._request_body.available()  # what is here already need not cost the connection
        if not exchange.request.keep_alive or not self._request_body.done:
            return False
        if self._client.requests >= manager.max_requests:
            manager.stats.downstream_cx_max_requests_reached.add()
            return False
        if connection.lifetime.noticed:
            manager.stats.downstream_cx_drain_close.add()
            return False
        return True

    async def _stream(
        self,
        head: bytes,
        body: AsyncIterable[bytes],
        framing: Framing,
        exchange: Exchange,
    ) -> None:
        chunked = framing is Framing.CHUNKED
        record, touch = exchange.record, exchange.connection.lifetime.touch
        first = body.available() if isinstance(body, WireBody) else b""
        data = head + (encode_chunk(first) if chunked else first)
        record.bytes_sent = len(first)
        if isinstance(body, WireBody):
            if body.done:
                await self._send(data + _end(body) if chunked else data)
                return
            if body.left >= PUMP_FROM:
                await self._send(data)
                await self._pump(body, exchange)
                return
        await self._send(data)
        async for piece in body:
            if piece:
                touch()
                record.bytes_sent += len(piece)
                await self._send(encode_chunk(piece) if chunked else piece)
        if chunked:
            await self._send(_end(body))

    async def _pump(self, body: WireBody, exchange: Exchange) -> None:
        """Have the reactor move what is left of a body of known length."""
        record, touch = exchange.record, exchange.connection.lifetime.touch

        def progress(forth: int, _back: int) -> None:
            touch()
            record.bytes_sent += forth

        try:
            await body.pump(self._client.transport, self._client.manager.pipes, progress)
        except OSError as error:
            raise DownstreamClosed(error.strerror or str(error)) from error

    async def _send(self, data: bytes) -> None:
        self._client.sent(len(data))
        try:
            await self._client.transport.send(data)
        except OSError as error:
            raise DownstreamClosed(error.strerror or str(error)) from error


def _end(body: AsyncIterable[bytes]) -> bytes:
    trailers = body.trailers if isinstance(body, WireBody) else None
    return encode_trailers(trailers)
