"""Bodies in the hands of filters: pieces of bytes, whatever holds them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable

from trioproxy.errors import ProxyError

BodySource = AsyncIterable[bytes] | bytes
Transform = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
"""Makes pieces of pieces, as an async generator function does; where they are cut means nothing."""


class BodyTooLarge(ProxyError):
    """A body that a filter wanted whole is larger than the filter allows."""

    def __init__(self, limit: int, status: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes")
        self._status = status

    @property
    def answer(self) -> int:
        """413 where the client sent it, 502 where the upstream did."""
        return self._status


class Whole:
    """A body that is all there, as an iterator over its only piece."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __aiter__(self) -> Whole:
        return self

    async def __anext__(self) -> bytes:
        data, self._data = self._data, b""
        if not data:
            raise StopAsyncIteration
        return data


def pieces(body: BodySource) -> AsyncIterator[bytes]:
    """Return an iterator over a body, whole or streamed."""
    return Whole(body) if isinstance(body, bytes) else aiter(body)


async def read_whole(body: BodySource, limit: int, status: int) -> bytes:
    """Return all of a body; raises BodyTooLarge, answered by `status`, past `limit` bytes."""
    data = bytearray()
    async for piece in pieces(body):
        data += piece
        if len(data) > limit:
            raise BodyTooLarge(limit, status)
    return bytes(data)
