"""HPACK's encoder (RFC 7541): fields to header blocks.

How a field is written where the table does not have it depends on nothing but the field: a worker
works that out once (`FieldWriter`), and every connection's `Encoder` keeps a table of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trioproxy.codec.errors import UnsafeMessage
from trioproxy.codec.fields import MAX_REMEMBERED
from trioproxy.codec.h2.tables import (
    FIRST_DYNAMIC,
    INDEX_OF,
    INDEX_OF_NAME,
    OVERHEAD,
    write_compressed,
    write_integer,
    write_string,
)
from trioproxy.codec.memo import Memo
from trioproxy.headers import Field, is_name, is_value

if TYPE_CHECKING:
    from collections.abc import Container

MAX_TABLE: Final = 4096  # bytes; a peer may allow more, and it would not be used
INDEXING: Final = 0x40
WITHOUT: Final = 0x00
NEVER: Final = 0x10

# Secrets: a table shared with others, and compression itself, would let them be guessed.
SECRETS = re.compile(
    rb"auth|cert|cookie|credential|csrf|jwt|key|nonce|passw|secret|session|signature|token|xsrf"
)
# What hardly comes back pushes out of the table what does.
FLEETING = re.compile(
    rb"^age$|^content-range$|etag|expires|forwarded|^if-|last-modified"
    rb"|location|^range$|referer|time|trace|-id$|-ip$|attempt-count"
)

# How a field is written by its distance from the newest entry of the table.
INDEXED = [write_integer(FIRST_DYNAMIC + n, 7, 0x80) for n in range(MAX_TABLE // OVERHEAD + 1)]


class Written:
    """A field as it is written where the table does not have it; `size` if it then gets there."""

    __slots__ = ("data", "size")

    def __init__(self, data: bytes, size: int) -> None:
        self.data = data
        self.size = size


class Name:
    """What the name of a field decides: whether fields with it are kept, and how they begin."""

    __slots__ = ("kind", "start")

    def __init__(self, name: bytes, kind: int) -> None:
        self.kind = kind
        self.start = write_name(name, kind)


class FieldWriter:
    """Writes fields, and tells which are worth remembering.

    Raises UnsafeMessage for what would read as something else, and for `reserved` names: those
    speak for the framing and the hop, which are not the sender of a field's to state.
    """

    def __init__(self, reserved: Container[bytes]) -> None:
        self._reserved = reserved
        self._names = Memo(self._check_name)

    def __call__(self, field: Field) -> tuple[Written, bool]:
        key, value = field
        name = self._names[key]
        if not is_value(value) or value != value.strip(b" \t"):
            raise UnsafeMessage(f"illegal characters in the header field {key.decode()}")
        size = len(key) + len(value)
        if name.kind != INDEXING:
            return Written(name.start + write_string(value), 0), False
        index = INDEX_OF.get(field, 0)
        if index:
            return Written(write_integer(index, 7, 0x80), 0), True
        if size > MAX_REMEMBERED:
            return Written(write_name(key, WITHOUT) + write_string(value), 0), False
        return Written(name.start + write_compressed(value), size + OVERHEAD), True

    def _check_name(self, name: bytes) -> tuple[Name, bool]:
        if not is_name(name):
            raise UnsafeMessage(f"not the name of a header field: {name!r}")
        if name in self._reserved:
            raise UnsafeMessage(f"{name.decode()} is set by the codec, not as a header field")
        return Name(name, kind_of(name)), len(name) <= MAX_REMEMBERED


def kind_of(name: bytes) -> int:
    """Tell whether fields called `name` go to the table, do not, or are kept out of all tables."""
    if SECRETS.search(name):
        return NEVER
    return WITHOUT if FLEETING.search(name) else INDEXING


def write_name(name: bytes, kind: int) -> bytes:
    """Write the beginning of a literal field."""
    index = INDEX_OF_NAME.get(name, 0)
    start = write_integer(index, 6 if kind == INDEXING else 4, kind)
    if index:
        return start
    return start + (write_compressed(name) if len(name) <= MAX_REMEMBERED else write_string(name))


class Encoder:
    """The sending end of one direction of a connection."""

    def __init__(self) -> None:
        self._numbers: dict[Field, int] = {}
        self._table: list[tuple[Field, int]] = []  # the oldest first, with its size
        self._size = 0
        self._newest = 0
        self._max_size = MAX_TABLE
        self._update = b""

    def allow(self, table_size: int) -> None:
        """Keep to the table that the peer allows from now on."""
        size = min(table_size, MAX_TABLE)
        if size != self._max_size:
            # The smallest in between has to be said too, and saying all of them does no harm.
            self._update += write_integer(size, 5, 0x20)
            self._max_size = size
            self._evict(0)

    def encode(
        self, writers: Memo[Field, Written], fields: list[Field], parts: list[bytes]
    ) -> None:
        """Append to `parts` the fields as they are written.

        Raises UnsafeMessage; then none of `parts` may be sent.
        """
        try:
            self._encode(writers, fields, parts)
        except UnsafeMessage:
            self._start_anew()
            raise

    def _encode(
        self, writers: Memo[Field, Written], fields: list[Field], parts: list[bytes]
    ) -> None:
        numbers = self._numbers
        for field in fields:
            number = numbers.get(field)
            if number is None:
                parts.append(self._new(field, writers[field]))
            else:
                parts.append(INDEXED[self._newest - number])

    def take_update(self) -> bytes:
        """Return what the next block has to begin with."""
        update, self._update = self._update, b""
        return update

    def _new(self, field: Field, written: Written) -> bytes:
        size = written.size
        if size:
            self._evict(size)
            if size <= self._max_size:
                self._table.append((field, size))
                self._size += size
                self._newest += 1
                self._numbers[field] = self._newest
        return written.data

    def _start_anew(self) -> None:
        """Empty the table: what it took in on the way to an error the peer will never hear of."""
        self._evict(self._max_size)
        self._update += write_integer(0, 5, 0x20) + write_integer(self._max_size, 5, 0x20)

    def _evict(self, room: int) -> None:
        """Drop the oldest entries until `room` more bytes fit, as the peer does."""
        count = 0
        while self._size + room > self._max_size and count < len(self._table):
            field, size = self._table[count]
            self._size -= size
            del self._numbers[field]
            count += 1
        if count:
            del self._table[:count]
