"""What a ClientHello says in the clear (RFC 8446 section 4.1.2): bytes in, names out, no I/O."""

from __future__ import annotations

import attrs

HANDSHAKE = 22
CLIENT_HELLO = 1
RECORD_HEAD = 5
MESSAGE_HEAD = 4
FIXED = 34  # the version and the random
SERVER_NAME = 0
PROTOCOLS = 16
HOST_NAME = 0
LONGEST_NAME = 255
MOST_RECORDS = 16  # each piece that arrives has it read again
LONGEST = 16 * 1024
"""Bytes of a ClientHello that are looked at; records and all."""


class NotTls(Exception):
    """What came is no ClientHello, or a broken one."""


@attrs.frozen
class ClientHello:
    """The name that a client asks for, in lower case, and the protocols that it speaks."""

    server_name: str = ""
    protocols: tuple[str, ...] = ()


def read_hello(data: bytes) -> ClientHello | None:
    """Read the beginning of a connection; None where more has to come. Raises NotTls."""
    message = _message(data)
    if message is None:
        if len(data) >= LONGEST:
            raise NotTls("a ClientHello without end")
        return None
    hello = Cursor(message)
    hello.take(FIXED)
    hello.vector(1)  # legacy_session_id
    hello.vector(2)  # cipher_suites
    hello.vector(1)  # legacy_compression_methods
    extensions = hello.vector(2) if hello.left else Cursor(b"")
    name = ""
    protocols: tuple[str, ...] = ()
    while extensions.left:
        kind, body = extensions.number(2), extensions.vector(2)
        if kind == SERVER_NAME:
            name = _server_name(body)
        elif kind == PROTOCOLS:
            protocols = _protocols(body)
    return ClientHello(name, protocols)


def _message(data: bytes) -> bytes | None:
    """Join the ClientHello from its records; None where it is not all here."""
    message, rest = bytearray(), Cursor(data)
    for _ in range(MOST_RECORDS):
        if rest.left < RECORD_HEAD:
            if rest.left and rest.peek() != HANDSHAKE:
                raise NotTls("not a handshake")
            return None
        message += _fragment(rest)
        if message and message[0] != CLIENT_HELLO:
            raise NotTls("not a ClientHello")
        end = MESSAGE_HEAD + int.from_bytes(message[1:MESSAGE_HEAD])
        if len(message) >= max(end, MESSAGE_HEAD):
            return bytes(message[MESSAGE_HEAD:end])
    raise NotTls("a ClientHello in too many records")


def _fragment(rest: Cursor) -> bytes:
    """Take what there is of the next record's content."""
    kind, major, _, length = rest.number(1), rest.number(1), rest.number(1), rest.number(2)
    if kind != HANDSHAKE:
        raise NotTls("not a handshake")
    if major != 3:
        raise NotTls("not a version of TLS")
    if not 0 < length <= LONGEST:
        raise NotTls("a record of a length that none may have")
    return rest.take(min(length, rest.left))


def _server_name(body: Cursor) -> str:
    names = body.vector(2)
    while names.left:
        kind, name = names.number(1), names.vector(2)
        if kind == HOST_NAME:
            if name.left > LONGEST_NAME:
                raise NotTls("a name longer than any")
            return name.text().lower().rstrip(".")
    return ""


def _protocols(body: Cursor) -> tuple[str, ...]:
    listed, found = body.vector(2), []
    while listed.left:
        found.append(listed.vector(1).text())
    return tuple(found)


class Cursor:
    """Takes a message apart from the left; raises NotTls where it ends too early."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __repr__(self) -> str:
        return f"<Cursor {self.left} left>"

    @property
    def left(self) -> int:
        """How many bytes are still there."""
        return len(self._data) - self._at

    def peek(self) -> int:
        """Return the next byte without taking it."""
        return self._data[self._at]

    def take(self, count: int) -> bytes:
        """Take so many bytes."""
        if self.left < count:
            raise NotTls("a ClientHello that is cut short")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int) -> int:
        """Take a number of so many bytes."""
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> Cursor:
        """Take what is preceded by its length, a number of so many bytes."""
        return Cursor(self.take(self.number(size)))

    def text(self) -> str:
        """Take the rest as text; names are ASCII, and so is every protocol."""
        return self.take(self.left).decode("latin-1")
