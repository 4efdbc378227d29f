"""Bodies: decoders that take bytes as they come and know where the message ends.

All speak one protocol, `Body`: `receive` returns the payload in what came; once `done`, `rest` is
what came after the message and nothing more may be received. Payload that fills the whole of what
came is returned as it is, without a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from trioproxy.codec.chunks import Chunked, chunk_head, encode_chunk, encode_trailers
from trioproxy.codec.errors import TruncatedMessage
from trioproxy.codec.messages import Framing
from trioproxy.headers import Headers

if TYPE_CHECKING:
    from trioproxy.codec.messages import Request, Response

__all__ = [
    "Body",
    "Chunked",
    "Length",
    "NoBody",
    "UntilClose",
    "chunk_head",
    "decoder",
    "encode_chunk",
    "encode_trailers",
]


class Body(Protocol):
    """A body on its way in."""

    done: bool
    rest: bytes

    @property
    def trailers(self) -> Headers:
        """The fields that came after the body; complete once `done`."""

    def receive(self, data: bytes) -> bytes:
        """Return the payload in `data`; raises MalformedMessage."""

    def eof(self) -> None:
        """Hear that the peer sends no more; raises TruncatedMessage in the middle of a body."""


class NoBody:
    """A message without a body is done before anything comes."""

    __slots__ = ("done", "rest")

    def __init__(self) -> None:
        self.done = True
        self.rest = b""

    @property
    def trailers(self) -> Headers:
        return Headers()

    def receive(self, data: bytes) -> bytes:
        self.rest += data
        return b""

    def eof(self) -> None:
        pass


class Length:
    """A body of `length` bytes, of which `left` are still to come."""

    __slots__ = ("done", "left", "rest")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = not length
        self.rest = b""

    @property
    def trailers(self) -> Headers:
        return Headers()

    def receive(self, data: bytes) -> bytes:
        left = self.left - len(data)
        if left > 0:
            self.left = left
            return data
        payload = data[: self.left] if left else data
        self.rest += data[self.left :]
        self.left = 0
        self.done = True
        return payload

    def skip(self, count: int) -> None:
        """Count payload that went another way; at most `left` bytes."""
        self.left -= count
        self.done = not self.left

    def eof(self) -> None:
        if self.left:
            raise TruncatedMessage(f"closed with {self.left} bytes of the body to come")


class UntilClose:
    """A response body that only the end of the connection ends."""

    __slots__ = ("done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    @property
    def trailers(self) -> Headers:
        return Headers()

    def receive(self, data: bytes) -> bytes:
        return data

    def eof(self) -> None:
        self.done = True


def decoder(message: Request | Response) -> Body:
    """Return what decodes the body of a message that was just parsed."""
    framing = message.framing
    if framing is Framing.CHUNKED:
        return Chunked()
    if framing is Framing.UNTIL_CLOSE:
        return UntilClose()
    if framing is Framing.LENGTH:
        return Length(message.content_length or 0)
    return NoBody()
