"""Sending a request to an upstream: the head with what has come of the body, then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.body import encode_chunk, encode_trailers
from trioproxy.errors import UpstreamReset
from trioproxy.reactor.epoll import IN, OUT
from trioproxy.wire.body import WireBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable

    from trioproxy.filters.exchange import Exchange
    from trioproxy.reactor.transport import Transport

REPLAY_SIZE = 64 * 1024


class AnsweredEarly(Exception):
    """The upstream speaks while the request body is still on its way."""


class Upload:
    """The request body of an exchange on its way up.

    `whole` tells that all of it is in `first`, so that the request can be sent again. While the
    body flows the upstream is watched: where it answers early, `send` raises AnsweredEarly and
    `finish` takes the rest along while somebody else reads the answer.
    """

    __slots__ = ("_body", "_chunked", "_touch", "_unsent", "done", "first", "sent", "whole")

    def __init__(self, exchange: Exchange) -> None:
        request, body = exchange.request, exchange.request_body
        self._touch: Callable[[], None] = exchange.connection.lifetime.touch
        self._unsent = memoryview(b"")
        self._body: AsyncIterable[bytes] | None = None
        first = b""
        if isinstance(body, bytes):
            request.chunked = False
            request.content_length = len(body) if body or request.content_length else None
            first = body
        elif isinstance(body, WireBody):
            first = body.available()
            self._body = None if body.done else body
        else:
            self._body = body
            request.content_length = None
            request.chunked = True
        self._chunked = request.chunked
        self.sent = len(first)
        self.whole = self._body is None and len(first) <= REPLAY_SIZE
        self.first = encode_chunk(first) if self._chunked else first
        if self._chunked and self._body is None:
            self.first += self._end(body)
        self.done = self._body is None

    async def send(self, head: bytes, upstream: Transport) -> None:
        """Send the head and the body to its end; raises AnsweredEarly, UpstreamReset."""
        await self._write(head + self.first if self.first else head, upstream, watch=True)
        if isinstance(self._body, WireBody):
            await self._relay(self._body, upstream)
        elif self._body is not None:
            raise AnsweredEarly  # a filter's body may wait for anything: leave it to `finish`

    async def _relay(self, body: WireBody, upstream: Transport) -> None:
        with body.watching(upstream, IN, AnsweredEarly):
            while not body.done:
                await self._pass_on(await body.read(), upstream, watch=True)
        await self._write_end(body, upstream)

    async def finish(self, upstream: Transport) -> None:
        """Send what is left, whatever the upstream says meanwhile; raises UpstreamReset."""
        if self.done:
            return
        await self._write(self._unsent, upstream, watch=False)
        assert self._body is not None
        async for piece in self._body:
            await self._pass_on(piece, upstream, watch=False)
        await self._write_end(self._body, upstream)

    async def _pass_on(self, piece: bytes, upstream: Transport, *, watch: bool) -> None:
        if piece:
            self._touch()
            self.sent += len(piece)
            data = encode_chunk(piece) if self._chunked else piece
            await self._write(data, upstream, watch=watch)

    async def _write_end(self, body: AsyncIterable[bytes], upstream: Transport) -> None:
        self.done = True
        if self._chunked:
            await self._write(self._end(body), upstream, watch=False)

    def _end(self, body: object) -> bytes:
        return encode_trailers(body.trailers if isinstance(body, WireBody) else None)

    async def _write(self, data: bytes | memoryview, upstream: Transport, *, watch: bool) -> None:
        try:
            sent = upstream.send_nowait(data)
            if sent < len(data):
                await self._write_rest(memoryview(data)[sent:], upstream, watch=watch)
        except OSError as error:
            raise UpstreamReset(error.strerror or str(error)) from error

    async def _write_rest(self, rest: memoryview, upstream: Transport, *, watch: bool) -> None:
        while rest:
            await upstream.park(OUT | IN if watch else OUT)
            if watch and upstream.ready & IN and not upstream.ready & OUT:
                self._unsent = rest
                raise AnsweredEarly
            rest = rest[upstream.send_nowait(rest) :]
        self._unsent = rest
