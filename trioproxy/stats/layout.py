"""Where things lie in the region, and how a region of another layout is recognised.

    0               header: magic, layout version, end of the table of names, secret
    NAMES_START     the table of names, append-only
    BLOCKS_START    block 0, the marks: for each name the newest epoch that uses it
    + BLOCK_SPACE   block 1, the zeros: what each counter stood at when counters were reset
    + BLOCK_SPACE   block 2, the tokens: buckets that all processes take from, under locks
    ...             block 3, 4, ...: a process each; a name has the same cell in every block

The file is sparse: space costs address room, memory is taken page by page as cells are written.
So a name never lacks a place near the others, no cell ever moves under its writer, and the file
grows by whole blocks only, when more processes live at once than ever before.
"""

from __future__ import annotations

import enum
import struct

from trioproxy.stats.buckets import BOUNDS

LAYOUT_VERSION = 3
"""Grows with every change to this module or to the bounds of the buckets."""

MAGIC = int.from_bytes(b"triostat", "little")
CELL = 8  # bytes
PAGE = 4096  # bytes; both spaces are multiples of it, as mmap wants

MAGIC_CELL, VERSION_CELL, NAMES_END_CELL, SECRET_CELL = range(4)
"""The cells of the header. A secret of 0 is none: a region made before there was one has that."""

NAMES_START = PAGE
NAMES_SPACE = 64 * 1024 * 1024
"""About a million names."""

BLOCKS_START = NAMES_START + NAMES_SPACE
BLOCK_SPACE = 32 * 1024 * 1024
BLOCK_CELLS = BLOCK_SPACE // CELL

MARKS, ZEROS, TOKENS = range(3)
"""The blocks that belong to no process."""

FIRST_CLAIMED = 3
"""The block from which on each is, or was, some process's."""

TOKEN_SETS = 1 << 18
TOKEN_WAYS = 4
"""The block of tokens: so many sets of so many slots, each the key of a bucket and its time.

The last slot of a set is nobody's: who finds no place takes from it.
"""

EPOCH_CELL, WORKER_CELL = range(2)
"""The cells of a block that say whose it is."""

FIRST_NAMED_CELL = 8

ENTRY = struct.Struct("<HBxII")
"""A name in the table: length of its text, kind, first cell, number of cells; then the text."""


class Kind(enum.IntEnum):
    """What the cells of a name mean and how they are summed."""

    COUNTER = 1  # over all blocks
    ACCUMULATE = 2  # a gauge: over the blocks of living processes
    NEVER_IMPORT = 3  # a gauge: over the living blocks of the reader's own epoch
    HISTOGRAM = 4  # a sum and the buckets, over all blocks
    HIDDEN_COUNTER = 5  # not shown among the statistics
    HIDDEN_GAUGE = 6


COUNTERS = frozenset({Kind.COUNTER, Kind.HIDDEN_COUNTER})
GAUGES = frozenset({Kind.ACCUMULATE, Kind.NEVER_IMPORT, Kind.HIDDEN_GAUGE})


HISTOGRAM_CELLS = 1 + len(BOUNDS) + 1
"""The sum of what was recorded (a double), then one bucket below each bound and one above all."""


def cells_of(kind: Kind) -> int:
    """Return how many cells a name of `kind` takes."""
    return HISTOGRAM_CELLS if kind is Kind.HISTOGRAM else 1


def block_offset(block: int) -> int:
    """Return where `block` starts, in bytes."""
    return BLOCKS_START + block * BLOCK_SPACE


def block_count(size: int) -> int:
    """Return how many blocks a file of `size` bytes has, those of no process included."""
    return (size - BLOCKS_START) // BLOCK_SPACE
