"""HPACK's decoder (RFC 7541): header blocks to entries, which say what their fields mean.

What a field means is worked out when it enters the dynamic table, so that one that comes by its
index afterwards costs no more than a look into a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioproxy.codec.h2 import huffman
from trioproxy.codec.h2.errors import ConnectionFailure
from trioproxy.codec.h2.events import ErrorCode
from trioproxy.codec.h2.tables import FIRST_DYNAMIC

if TYPE_CHECKING:
    from trioproxy.codec.h2.entries import Entry, EntryReader

BOMB: Final = 4  # times what is allowed: no misjudgement any more, and not decoded to its end
MAX_INTEGER_BYTES: Final = 4  # behind the first: 28 bits
DYNAMIC: Final = 0x80 | FIRST_DYNAMIC  # the index of the newest entry as a byte


class CompressionError(Exception):
    """A header block cannot be decoded: from here on the two sides' tables would differ."""


class Decoder:
    """The receiving end of one direction of a connection.

    `reader` makes entries. A list of more than `max_list` bytes or `max_fields` fields is decoded
    to its end, for the sake of the table, but not kept: `overflow` says so. One of many times more
    ends the connection.
    """

    def __init__(
        self, reader: EntryReader, *, table_size: int, max_list: int, max_fields: int
    ) -> None:
        self._reader = reader
        self._static = reader.static
        self._dynamic: list[Entry] = []  # the newest last
        self._size = 0
        self._max_size = 4096
        self._allowed = max(table_size, self._max_size)
        self._update_due = False
        self._max_list = max_list
        self._max_fields = max_fields
        self._block = b""
        self._at = 0
        self.overflow = False
        self.changes = 0  # of the table: what was decoded before the last one may differ now
        self.literals = False  # whether the last block had fields that are in no table
        self.singular = False  # whether it changed the table, or had fields to be in none ever

    def allow(self, table_size: int) -> None:
        """Hold the peer to a table size that it has acknowledged."""
        self._allowed = table_size
        self._update_due = self._max_size > table_size
        self.changes += 1

    def decode(self, block: bytes) -> list[Entry]:
        """Return the fields of a block; raises CompressionError, on a bomb ConnectionFailure."""
        try:
            return self._decode(block)
        except (IndexError, huffman.NotHuffman) as error:
            raise CompressionError("a header block is cut short or wrongly coded") from error

    def _decode(self, block: bytes) -> list[Entry]:
        self._block, self._at = block, 0
        self.literals = self.singular = False
        self._read_updates()
        static, dynamic, max_list = self._static, self._dynamic, self._max_list
        entries: list[Entry] = []
        size, at, end = 0, self._at, len(block)
        while at < end:
            byte = block[at]
            if 0x80 < byte < 0xFF:  # an index of one byte, the most frequent of all
                at += 1
                entry = static[byte - 0x81] if byte < DYNAMIC else dynamic[DYNAMIC - 1 - byte]
            else:
                self._at = at
                entry = self._other(byte)
                at = self._at
            size += entry.size
            if size <= max_list:
                entries.append(entry)
            elif size > max_list * BOMB:
                raise _bomb()
        self._block = b""
        self.overflow = size > max_list or len(entries) > self._max_fields
        return entries

    def _other(self, byte: int) -> Entry:
        """Read what is at the place, and is not an index of one byte (RFC 7541 section 6)."""
        if byte & 0x80:
            return self._entry(self._integer(0x7F))
        if byte & 0x40:
            entry = self._literal(0x3F)
            self._insert(entry)
            self.singular = True
            return entry
        if byte & 0x20:
            raise CompressionError("a table size update behind a field")
        self.literals = True
        self.singular |= bool(byte & 0x10)
        return self._literal(0x0F)

    def _entry(self, index: int) -> Entry:
        if index >= FIRST_DYNAMIC:
            return self._dynamic[FIRST_DYNAMIC - 1 - index]
        if not index:
            raise CompressionError("index 0")
        return self._static[index - 1]

    def _literal(self, mask: int) -> Entry:
        index = self._integer(mask)
        name = self._entry(index).field[0] if index else self._string()
        return self._reader.entries[name, self._string()]

    def _integer(self, mask: int) -> int:
        """Read an integer at the place (RFC 7541 section 5.1)."""
        block, at = self._block, self._at
        value = block[at] & mask
        at += 1
        if value == mask:
            shift, byte = 0, 0x80
            while byte & 0x80:
                if shift == 7 * MAX_INTEGER_BYTES:
                    raise CompressionError("an integer beyond reason")
                byte = block[at]
                value += (byte & 0x7F) << shift
                shift += 7
                at += 1
        self._at = at
        return value

    def _string(self) -> bytes:
        huffman_coded = self._block[self._at] & 0x80
        length = self._integer(0x7F)
        start, end = self._at, self._at + length
        if end > len(self._block):
            raise CompressionError("a string longer than its block")
        self._at = end
        data = self._block[start:end]
        return huffman.decode(data) if huffman_coded else data

    def _read_updates(self) -> None:
        """Read the table size updates that a block begins with (RFC 7541 section 4.2)."""
        block = self._block
        while self._at < len(block) and block[self._at] & 0xE0 == 0x20:
            size = self._integer(0x1F)
            if size > self._allowed:
                raise CompressionError("a table larger than allowed")
            self._max_size = size
            self._update_due = False
            self.singular = True
            self.changes += 1
            self._evict(0)
        if self._update_due:
            raise CompressionError("no table size update after the table had to shrink")

    def _insert(self, entry: Entry) -> None:
        self.changes += 1
        self._evict(entry.size)
        if entry.size <= self._max_size:
            self._dynamic.append(entry)
            self._size += entry.size

    def _evict(self, room: int) -> None:
        """Drop the oldest entries until `room` more bytes fit, if ever they do."""
        count = 0
        while self._size + room > self._max_size and count < len(self._dynamic):
            self._size -= self._dynamic[count].size
            count += 1
        if count:
            del self._dynamic[:count]


def _bomb() -> ConnectionFailure:
    return ConnectionFailure(
        ErrorCode.ENHANCE_YOUR_CALM, "a header list beyond reason", "max_header_list_size"
    )
