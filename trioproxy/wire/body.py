"""The body of a message as it arrives on its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.errors import MalformedMessage, TruncatedMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy import codec
    from trioproxy.codec.body import Body
    from trioproxy.errors import ProxyError
    from trioproxy.headers import Headers
    from trioproxy.wire.reader import Reader

BODY_SIZE = 64 * 1024

del codec


class WireBody:
    """Payload, decoded from a reader; iterate over it, or `read` until it is empty.

    `size` counts the payload so far. Where the peer ends or breaks it, `closed` or `malformed` is
    raised. `before_wait`, if set, is called once, before the first wait for the peer.
    """

    __slots__ = ("_closed", "_decoder", "_malformed", "_reader", "before_wait", "size")

    def __init__(
        self,
        reader: Reader,
        decoder: Body,
        *,
        closed: type[ProxyError],
        malformed: type[ProxyError],
    ) -> None:
        self._reader = reader
        self._decoder = decoder
        self._closed = closed
        self._malformed = malformed
        self.before_wait: Callable[[], None] | None = None
        self.size = 0

    def __repr__(self) -> str:
        return f"<WireBody {self.size} bytes{', done' if self.done else ''}>"

    @property
    def done(self) -> bool:
        """Whether all of it was read."""
        return self._decoder.done

    @property
    def trailers(self) -> Headers:
        """The fields behind it, complete once it is done."""
        return self._decoder.trailers

    def available(self) -> bytes:
        """Return the payload that is here already; raises `malformed`."""
        reader = self._reader
        if not reader.pending or self._decoder.done:
            return b""
        data, reader.pending = reader.pending, b""
        return self._take(data)

    async def read(self) -> bytes:
        """Return some payload, empty at the end; raises `closed`, `malformed`, OtherSideFirst."""
        payload = self.available()
        while not payload and not self._decoder.done:
            if self.before_wait is not None:
                self.before_wait()
                self.before_wait = None
            payload = self._take(await self._receive())
        return payload

    def skip(self, count: int) -> None:
        """Take note that `count` bytes of the payload went another way."""
        self._decoder.receive(bytes(count))
        self.size += count

    async def _receive(self) -> bytes:
        try:
            return await self._reader.receive(BODY_SIZE)
        except OSError as error:
            raise self._closed(error.strerror or str(error)) from error

    def _take(self, data: bytes) -> bytes:
        decoder = self._decoder
        try:
            if data:
                payload = decoder.receive(data)
            else:
                payload = b""
                decoder.eof()
        except TruncatedMessage as error:
            raise self._closed(error.detail) from error
        except MalformedMessage as error:
            raise self._malformed(error.detail) from error
        if decoder.done:
            self._reader.pending = decoder.rest
        self.size += len(payload)
        return payload

    def __aiter__(self) -> WireBody:
        return self

    async def __anext__(self) -> bytes:
        payload = await self.read()
        if not payload:
            raise StopAsyncIteration
        return payload
