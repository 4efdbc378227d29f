"""The chunked transfer coding (RFC 9112 section 7.1), strict on the way in, plain on the way out.

The decoder walks through what came in one go: a line, then a chunk, then a line. Only an
unfinished line is kept for the next call, and lines are short by law, so bytes that come one at a
time cost the same each. Chunks are cut out as views and joined once. Many small chunks thus come
out as one payload, to be sent on as one chunk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trioproxy.codec.errors import MalformedMessage, TruncatedMessage
from trioproxy.codec.fields import FieldWriter, read_field
from trioproxy.headers import Headers, is_value

if TYPE_CHECKING:
    from collections.abc import Callable

CRLF = b"\r\n"
LAST_CHUNK = b"0\r\n"
HEX_DIGITS = b"0123456789ABCDEFabcdef"
MAX_SIZE_DIGITS = 15
BETWEEN = re.compile(rb"\r\n([0-9A-Fa-f]{1,15})\r\n").match
# What a trailer may not say, as it must be known before the body or steers how the message is
# framed, routed, authenticated or stored (RFC 9110 section 6.5.1).
NO_TRAILERS = frozenset(
    b"""age authorization cache-control connection content-encoding content-length content-range
    content-type cookie date expect expires host if-match if-modified-since if-none-match if-range
    if-unmodified-since keep-alive location max-forwards pragma proxy-authenticate
    proxy-authorization proxy-connection range retry-after set-cookie te trailer
    transfer-encoding upgrade vary warning www-authenticate""".split()
)


class Chunked:
    """A body in chunks.

    `max_line` bounds a chunk's line with its extensions and a trailer field, `max_waste` by how
    much extensions may outweigh the payload, `max_trailers` the trailer section; all in bytes.
    """

    __slots__ = (
        "_left",
        "_line",
        "_max_line",
        "_max_waste",
        "_on_line",
        "_trailer_room",
        "_waste",
        "done",
        "rest",
        "trailers",
    )

    def __init__(
        self, *, max_line: int = 4096, max_waste: int = 16384, max_trailers: int = 8192
    ) -> None:
        self.done = False
        self.rest = b""
        self.trailers = Headers()
        self._max_line = max_line
        self._max_waste = max_waste
        self._trailer_room = max_trailers
        self._waste = 0
        self._left = 0
        self._line = b""
        self._on_line: Callable[[Chunked, bytes], None] = Chunked._read_size

    def receive(self, data: bytes) -> bytes:
        """Return the payload in `data`; raises MalformedMessage."""
        if len(data) <= self._left:
            self._left -= len(data)
            return data
        if self._line:
            data, self._line = self._line + data, b""
        parts: list[memoryview] = []
        at = 0
        while at < len(data):
            at = self._take_chunks(data, at, parts) if self._left else self._take_line(data, at)
        return b"".join(parts)

    def eof(self) -> None:
        """Hear that the peer sends no more; raises TruncatedMessage in the middle of a body."""
        if not self.done:
            raise TruncatedMessage("closed in the middle of a chunked body")

    def _take_chunks(self, data: bytes, at: int, parts: list[memoryview]) -> int:
        """Cut out what there is of the chunk at `at`, and those after it that are whole and plain.

        This is the fast way: what BETWEEN does not match is left to `_take_line` to judge.
        """
        view, left = memoryview(data), self._left
        while left:
            part = view[at : at + left]
            parts.append(part)
            at += len(part)
            left -= len(part)
            between = BETWEEN(data, at)
            if between is None:
                break
            left = int(between[1], 16)
            at = between.end()
        else:
            self._on_line = Chunked._read_trailer
        self._left = left
        return at

    def _take_line(self, data: bytes, at: int) -> int:
        """Read the line at `at` or keep what there is of it; return where the next thing begins."""
        if self.done:
            self.rest += data[at:]
            return len(data)
        end = data.find(CRLF, at, at + self._max_line + len(CRLF))
        if end >= 0:
            self._on_line(self, data[at:end])
            return end + len(CRLF)
        if len(data) - at > self._max_line + 1:  # a CR may be there already
            raise MalformedMessage("a line of the chunked body is too long")
        self._line = data[at:]
        return len(data)

    def _read_size(self, line: bytes) -> None:
        digits, semicolon, extension = line.partition(b";")
        if not 0 < len(digits) <= MAX_SIZE_DIGITS or digits.translate(None, HEX_DIGITS):
            raise MalformedMessage("not a chunk size")
        size = int(digits, 16)
        if semicolon:
            self._pass_over(extension, size)
        self._left = size
        self._on_line = Chunked._read_chunk_end if size else Chunked._read_trailer

    def _pass_over(self, extension: bytes, size: int) -> None:
        if not extension or not is_value(extension):
            raise MalformedMessage("not a chunk extension")
        self._waste = max(0, self._waste + len(extension) - size)
        if self._waste > self._max_waste:
            raise MalformedMessage("more chunk extensions than payload")

    def _read_chunk_end(self, line: bytes) -> None:
        if line:
            raise MalformedMessage("a chunk is longer than its size says")
        self._on_line = Chunked._read_size

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        self._trailer_room -= len(line)
        if self._trailer_room < 0:
            raise MalformedMessage("the trailer section is too long", 431)
        field = read_field(line)
        if field[0] not in NO_TRAILERS:
            self.trailers.fields.append(field)


def chunk_head(size: int) -> bytes:
    """Return what stands before a chunk of `size` > 0 bytes; CRLF stands after it."""
    return b"%x\r\n" % size


def encode_chunk(data: bytes) -> bytes:
    """Return `data` as one chunk; nothing for no data, as an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def encode_trailers(trailers: Headers | None = None) -> bytes:
    """Return the last chunk and the trailer section, which end a body; raises UnsafeMessage."""
    if not trailers:
        return LAST_CHUNK + CRLF
    write = FieldWriter(NO_TRAILERS)
    return b"%b%b\r\n" % (LAST_CHUNK, b"".join(write(field)[0] for field in trailers.fields))
