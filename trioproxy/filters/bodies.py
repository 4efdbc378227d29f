"""Bodies in the hands of filters: read whole, or made of one another piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable

from trioproxy.errors import ProxyError
from trioproxy.wire.body import WholeBody

Body = AsyncIterable[bytes]
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


async def read_whole(body: Body, limit: int, status: int) -> bytes:
    """Return all of a body; raises BodyTooLarge, answered by `status`, past `limit` bytes."""
    data = bytearray()
    async for piece in body:
        data += piece
        if len(data) > limit:
            raise BodyTooLarge(limit, status)
    return bytes(data)


def is_empty(body: Body) -> bool:
    """Tell whether a body is known to have nothing in it."""
    return isinstance(body, WholeBody) and not body.size
