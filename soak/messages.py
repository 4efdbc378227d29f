"""HTTP/1.1 as far as clients and origin of a soak need it: bytes in, heads and bodies out."""

from __future__ import annotations

import attrs

LARGEST_HEAD = 64 * 1024


class Malformed(Exception):
    """The other side does not speak HTTP/1.1; the text says how."""


@attrs.frozen
class Head:
    """A request's or a response's first line and how its message is framed."""

    first: tuple[str, str, str]
    length: int = 0
    chunked: bool = False
    close: bool = False

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.first[1])

    @property
    def path(self) -> str:
        """The target of a request."""
        return self.first[1]


def split_head(data: bytes) -> tuple[Head, bytes] | None:
    """The head at the start of `data` and what follows it; None while it is not complete.

    Raises Malformed.
    """
    text, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        if len(data) > LARGEST_HEAD:
            raise Malformed("a head without end")
        return None
    return parse_head(text.decode("latin-1")), rest


def parse_head(text: str) -> Head:
    """Read a head without its empty line; raises Malformed."""
    first, *lines = text.split("\r\n")
    parts = first.split(" ", 2)
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip().lower()
    try:
        return Head(
            (parts[0], parts[1], parts[2]),
            int(fields.get("content-length", "0")),
            fields.get("transfer-encoding") == "chunked",
            "close" in fields.get("connection", ""),
        )
    except (IndexError, ValueError):
        raise Malformed(f"not a head: {text[:100]!r}") from None


def chunk(payload: bytes) -> bytes:
    """Frame one chunk; an empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


class Sized:
    """A body of known length."""

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def done(self) -> bool:
        """Whether all of it was fed."""
        return not self._left

    def feed(self, data: bytes) -> bytes:
        """Return the payload in `data`; raises Malformed for bytes past the end."""
        if len(data) > self._left:
            raise Malformed(f"{len(data) - self._left} bytes past the end of the body")
        self._left -= len(data)
        return data


class Chunked:
    """A body in chunks."""

    def __init__(self) -> None:
        self.done = False
        self._unread = bytearray()
        self._left = 0
        self._last = False

    def feed(self, data: bytes) -> bytes:
        """Return the payload in `data`; raises Malformed."""
        self._unread += data
        payload = bytearray()
        while self._unread and not self.done:
            if not (self._take(payload) if self._left else self._next_line()):
                break
        if self.done and self._unread:
            raise Malformed(f"{len(self._unread)} bytes past the end of the body")
        return bytes(payload)

    def _take(self, payload: bytearray) -> bool:
        """Take what there is of the current chunk."""
        taken = self._unread[: self._left]
        del self._unread[: len(taken)]
        self._left -= len(taken)
        payload += taken
        return True

    def _next_line(self) -> bool:
        """Take a chunk's size, or the empty line behind one; False while it is not complete."""
        line, end, rest = self._unread.partition(b"\r\n")
        if not end:
            return False
        self._unread = rest
        if not line:
            self.done = self._last
            return True
        try:
            self._left = int(line, 16)
        except ValueError:
            raise Malformed(f"not a chunk size: {bytes(line[:40])!r}") from None
        self._last = not self._left
        return True


def body_of(head: Head) -> Sized | Chunked:
    """What reads the body that the head announces."""
    return Chunked() if head.chunked else Sized(head.length)
