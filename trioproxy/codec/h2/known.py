"""Messages that came before: a block that comes again says the same until the table changes.

Clients that ask for the same again, and servers whose answers are alike, then cost one lookup and
a copy. A block with literals, by which most are told apart, is kept when it comes twice in a row;
one that changes the table, has a literal that its sender wants in no table, or is long, never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from trioproxy.codec.messages import Request, Response
from trioproxy.headers import Headers

if TYPE_CHECKING:
    from trioproxy.codec.h2.decoder import Decoder

M = TypeVar("M", Request, Response)
Key = tuple[bytes, bool, str]  # a block, whether it ended its stream, what it answers
MOST = 64
LONGEST = 1024  # bytes of a block: what a connection keeps has a bound


class Known(Generic[M]):
    """The messages of one connection, by what they depend on."""

    __slots__ = ("_changes", "_decoder", "_last", "_messages")

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._messages: dict[Key, M] = {}
        self._changes = 0
        self._last = b""

    def get(self, key: Key) -> M | None:
        """Return what came under that key; to be copied, not to be edited."""
        return self._messages.get(key) if self._changes == self._decoder.changes else None

    def put(self, key: Key, message: M) -> bool:
        """Keep a message that was just decoded, if it may come again; then it may not be edited."""
        decoder, block = self._decoder, key[0]
        if decoder.singular or len(block) > LONGEST:
            return False
        if decoder.literals and block != self._last:
            self._last = block
            return False
        if self._changes != decoder.changes or len(self._messages) >= MOST:
            self._changes = decoder.changes
            self._messages.clear()
        self._messages[key] = message
        return True


def same_request(request: Request) -> Request:
    """Return a copy of a request that came by HTTP/2."""
    return Request(
        headers=Headers(request.headers.fields.copy()),
        major=2,
        method=request.method,
        path=request.path,
        authority=request.authority,
        scheme=request.scheme,
        upgrade=request.upgrade,
        content_length=request.content_length,
        chunked=request.chunked,
        te_trailers=request.te_trailers,
        expect_continue=request.expect_continue,
    )


def same_response(response: Response) -> Response:
    """Return a copy of a response that came by HTTP/2."""
    return Response(
        headers=Headers(response.headers.fields.copy()),
        major=2,
        status=response.status,
        bodiless=response.bodiless,
        content_length=response.content_length,
        chunked=response.chunked,
    )
