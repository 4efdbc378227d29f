"""Sending a request's body to an upstream: what has come of it with the head, then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.body import encode_chunk, encode_trailers
from trioproxy.errors import UpstreamReset
from trioproxy.reactor.epoll import IN, OUT
from trioproxy.wire.body import WholeBody, WireBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable

    from trioproxy.filters.exchange import Exchange
    from trioproxy.reactor.transport import Transport

REPLAY_SIZE = 64 * 1024


class AnsweredEarly(Exception):
    """The upstream speaks while the request body is still on its way."""


class Upload:
    """The request body of an exchange on its way up.

    `first` goes out together with the head; `done` tells that all was sent. While the rest flows
    the upstream is watched: where it answers early, `send` raises AnsweredEarly, and `finish`
    takes the rest along while somebody else reads the answer.
    """

    __slots__ = (
        "_body",
        "_chunked",
        "_touch",
        "_unsent",
        "_whole",
        "begun",
        "done",
        "first",
        "sent",
    )

    _touch: Callable[[], None]

    def __init__(self, exchange: Exchange) -> None:
        request, body = exchange.request, exchange.request_body
        self._unsent = memoryview(b"")
        self._body: AsyncIterable[bytes] | None = None
        self.begun = False
        if type(body) is WholeBody:
            self.first = body.available()
            self._chunked = request.chunked = False
            if self.first or request.content_length is not None:
                request.content_length = len(self.first)
            self.sent = len(self.first)
            self._whole = self.sent <= REPLAY_SIZE
            self.done = True
            return
        self._touch = exchange.connection.lifetime.touch
        if not isinstance(body, WireBody):
            request.content_length = None
            request.chunked = True
        self._chunked = request.chunked
        self.first = b""
        self.sent = 0
        self._whole = self.done = False
        self._body = body

    @property
    def repeatable(self) -> bool:
        """Whether the request can be sent (again): all of it is here, or nothing was sent yet."""
        return self._whole or not self.begun

    async def send(self, head: bytes, upstream: Transport) -> None:
        """Send the head and the body to its end; raises AnsweredEarly, UpstreamReset."""
        self.begun = True
        if not isinstance(self._body, WireBody):
            await self._write(head + self.first, upstream, watch=self._body is not None)
            if self._body is not None:
                raise AnsweredEarly  # a filter's body may wait for anything: leave it to `finish`
            return
        piece = self._body.available()
        self.sent += len(piece)
        await self._write(head + self._framed(piece), upstream, watch=True)
        with self._body.watching(upstream, IN, AnsweredEarly):
            while not self._body.done:
                await self._pass_on(await self._body.read(), upstream, watch=True)
        await self._write_end(self._body, upstream)

    async def finish(self, upstream: Transport) -> None:
        """Send what is left, whatever the upstream says meanwhile; raises UpstreamReset."""
        if self.done or self._body is None:
            return
        await self._write(self._unsent, upstream, watch=False)
        async for piece in self._body:
            await self._pass_on(piece, upstream, watch=False)
        await self._write_end(self._body, upstream)

    def _framed(self, piece: bytes) -> bytes:
        return encode_chunk(piece) if self._chunked else piece

    async def _pass_on(self, piece: bytes, upstream: Transport, *, watch: bool) -> None:
        if piece:
            self._touch()
            self.sent += len(piece)
            await self._write(self._framed(piece), upstream, watch=watch)

    async def _write_end(self, body: AsyncIterable[bytes], upstream: Transport) -> None:
        if self._chunked:
            trailers = body.trailers if isinstance(body, WireBody) else None
            await self._write(encode_trailers(trailers), upstream, watch=False)
        self.done = True

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
            sent = upstream.send_nowait(rest)
            rest = rest[sent:]
        self._unsent = rest
