"""The table of names: which cells of every block are whose.

It only ever grows. An entry is written first and then made valid by one store to the header, so
that readers need no lock and a writer killed half-way has added nothing. The bytes go through
`pread` and `pwrite`, whose locks in the kernel keep that order on every processor.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs

from trioproxy.stats.block import Block
from trioproxy.stats.layout import (
    BLOCK_CELLS,
    ENTRY,
    FIRST_NAMED_CELL,
    MARKS,
    NAMES_END_CELL,
    NAMES_SPACE,
    NAMES_START,
    Kind,
    cells_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


class RegionFull(Exception):
    """There is no room for another name."""


@attrs.frozen
class Name:
    """A statistic: what it is called and what kind it is; two kinds may share a text."""

    kind: int
    text: str


class Table:
    """The names as far as this process has read them: `first` maps each to its first cell."""

    def __init__(self, fd: int, header: memoryview) -> None:
        self._fd = fd
        self._header = header
        self._end = 0
        self._marks = Block(fd, MARKS)
        self.first: dict[Name, int] = {}
        self.cells_end = FIRST_NAMED_CELL

    def refresh(self) -> None:
        """Read what was appended since the last time."""
        end = self._header[NAMES_END_CELL]
        raw = os.pread(self._fd, end - self._end, NAMES_START + self._end)
        at = 0
        while at < len(raw):
            length, kind, first, cells = ENTRY.unpack_from(raw, at)
            at += ENTRY.size
            self.first[Name(kind, raw[at : at + length].decode())] = first
            self.cells_end = first + cells
            at += length
        self._end = end

    def use(self, names: Iterable[Name], epoch: int) -> None:
        """Append the names that are missing and mark all of them as used by `epoch`.

        The caller holds the lock on the names. Raises RegionFull.
        """
        self.refresh()
        wanted = list(names)
        self._append([name for name in dict.fromkeys(wanted) if name not in self.first])
        self.refresh()
        marks = self._marks.cells
        for name in wanted:
            first = self.first[name]
            marks[first] = max(marks[first], epoch)

    def newest_use(self) -> list[int]:
        """Return for each cell the newest epoch that uses the name which starts there."""
        return self._marks.cells[: self.cells_end].tolist()

    def close(self) -> None:
        """Unmap the marks."""
        self._marks.close()

    def _append(self, names: list[Name]) -> None:
        raw = bytearray()
        first = self.cells_end
        for name in names:
            text, cells = name.text.encode(), cells_of(Kind(name.kind))
            raw += ENTRY.pack(len(text), name.kind, first, cells) + text
            first += cells
        if first > BLOCK_CELLS or self._end + len(raw) > NAMES_SPACE:
            raise RegionFull(f"no room for {len(names)} more names of statistics")
        os.pwrite(self._fd, raw, NAMES_START + self._end)
        self._header[NAMES_END_CELL] = self._end + len(raw)
