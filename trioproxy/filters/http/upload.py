"""Sending a request's body to an upstream: what has come of it with the head, then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.body import encode_chunk, encode_trailers
from trioproxy.errors import UpstreamReset
from trioproxy.reactor.epoll import IN, OUT
from trioproxy.wire.body import ArrivingBody, WholeBody, WireBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable

    from trioproxy.filters.exchange import Exchange
    from trioproxy.reactor.transport import Transport

    Received = Callable[[], None]

REPLAY_SIZE = 64 * 1024
TOO_LARGE_TO_JOIN = 16 * 1024


class AnsweredEarly(Exception):
    """The upstream speaks while the request body is still on its way."""


class Upload:
    """The request body of an exchange on its way up.

    `first` goes out together with the head; `done` tells that all was sent, `written` how many
    bytes that was on the wire. While the rest flows the upstream is watched: where it answers
    early, `send` raises AnsweredEarly, and `finish` takes the rest along while somebody else reads
    the answer. `received` is called when the rest has come from the client, before it is sent.
    """

    __slots__ = (
        "_chunked",
        "_exchange",
        "_unsent",
        "_whole",
        "begun",
        "done",
        "first",
        "rest",
        "touch",
        "written",
    )

    touch: Callable[[], None]
    _exchange: Exchange

    def __init__(self, exchange: Exchange) -> None:
        request, body = exchange.request, exchange.request_body
        self._unsent = memoryview(b"")
        self.rest: AsyncIterable[bytes] | None = None
        self.begun = False
        self.written = 0
        if type(body) is WholeBody:
            self.first = body.available()
            self._chunked = request.chunked = False
            if self.first or request.content_length is not None:
                request.content_length = len(self.first)
            self._whole = len(self.first) <= REPLAY_SIZE
            self.done = True
            return
        self._exchange = exchange
        self.touch = exchange.lifetime.touch
        if not isinstance(body, ArrivingBody):
            request.content_length = None
            request.chunked = True
        self._chunked = request.chunked
        self.first = b""
        self._whole = self.done = False
        self.rest = body

    @property
    def repeatable(self) -> bool:
        """Whether the request can be sent (again): all of it is here, or nothing was sent yet."""
        return self._whole or not self.begun

    def take_count(self) -> int:
        """Return how many bytes were written, and begin to count anew."""
        count, self.written = self.written, 0
        return count

    async def send(self, head: bytes, upstream: Transport, received: Received) -> None:
        """Send the head and the body to its end; raises AnsweredEarly, UpstreamReset."""
        self.begun = True
        if not isinstance(self.rest, WireBody):
            await self._write(head + self.first, upstream, watch=self.rest is not None)
            if self.rest is not None:
                raise AnsweredEarly  # a filter's body may wait for anything: leave it to `finish`
            return
        await self._send_pieces(head, self.rest, upstream, received)
        await self._write_end(upstream)

    async def _send_pieces(
        self, head: bytes, body: WireBody, upstream: Transport, received: Received
    ) -> None:
        data = self._framed(body.available())
        with body.watching(upstream, IN, AnsweredEarly):
            while not body.done:
                await self._write(data, upstream, watch=True, head=head)
                head = b""
                data = self._framed(await body.read())
                self.touch()
        received()
        await self._write(data, upstream, watch=True, head=head)

    async def finish(self, upstream: Transport, received: Received) -> None:
        """Send what is left, whatever the upstream says meanwhile; raises UpstreamReset."""
        if self.done or self.rest is None:
            return
        await self._write(self._unsent, upstream, watch=False)
        async for piece in self.rest:
            self.touch()
            await self._write(self._framed(piece), upstream, watch=False)
        received()
        await self._write_end(upstream)

    def _framed(self, piece: bytes) -> bytes:
        return encode_chunk(piece) if self._chunked else piece

    async def _write_end(self, upstream: Transport) -> None:
        if self._chunked:
            trailers = self._exchange.request_trailers
            await self._write(encode_trailers(trailers), upstream, watch=False)
        self.done = True

    async def _write(
        self, data: bytes | memoryview, upstream: Transport, *, watch: bool, head: bytes = b""
    ) -> None:
        if head and len(data) < TOO_LARGE_TO_JOIN:
            head, data = b"", head + data
        if not data:
            return
        try:
            sent = upstream.send_both_nowait(head, data) if head else upstream.send_nowait(data)
            self.written += sent
            if sent < len(head) + len(data):
                await self._write_rest(
                    memoryview(head + data if head else data)[sent:], upstream, watch=watch
                )
        except OSError as error:
            raise UpstreamReset(error.strerror or str(error)) from error

    async def _write_rest(self, rest: memoryview, upstream: Transport, *, watch: bool) -> None:
        while rest:
            await upstream.park(OUT | IN if watch else OUT)
            if watch and upstream.ready & IN and not upstream.ready & OUT:
                self._unsent = rest
                raise AnsweredEarly
            sent = upstream.send_nowait(rest)
            self.written += sent
            rest = rest[sent:]
        self._unsent = rest
