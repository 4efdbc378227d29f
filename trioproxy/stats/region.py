"""The region itself: a sealed memory file, made once, passed on to every later process.

It has no name anywhere. Who has the fd can attach; when the last process is gone, so is it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import TYPE_CHECKING

from trioproxy.stats.block import Block
from trioproxy.stats.layout import (
    CELL,
    COUNTERS,
    FIRST_CLAIMED,
    LAYOUT_VERSION,
    MAGIC,
    MAGIC_CELL,
    PAGE,
    SECRET_CELL,
    TOKENS,
    ZEROS,
    block_count,
    block_offset,
)
from trioproxy.stats.locks import Lock, LockFile, living, owned
from trioproxy.stats.shared import Shared
from trioproxy.stats.table import Table
from trioproxy.stats.writer import Writer, occupy

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
"""A file cut short under a mapping would be SIGBUS for every process that has it."""


class LayoutMismatch(Exception):
    """What was passed is not a region of this layout; the text says what it is instead."""


class Region:
    """The shared region as one process has it; `fd` may be passed to other processes.

    Each process attaches for itself: what a fork inherits shares its parent's locks. `secret` is
    known to all of them, and empty where a program that had none yet made the region.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, PAGE)
        self._header = memoryview(self._map).cast("q")
        self._probe = LockFile(fd)
        self.secret = os.pread(fd, CELL, SECRET_CELL * CELL).rstrip(b"\0")
        self.table = Table(fd, self._header)
        self.zeros = Block(fd, ZEROS)
        self.tokens = Block(fd, TOKENS)

    @classmethod
    def create(cls) -> Region:
        """Make a new, empty region."""
        fd = os.memfd_create("trioproxy-stats", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, block_offset(FIRST_CLAIMED))
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        os.pwrite(fd, _cells(MAGIC, LAYOUT_VERSION), MAGIC_CELL * CELL)
        os.pwrite(fd, os.urandom(CELL), SECRET_CELL * CELL)
        return cls(fd)

    @classmethod
    def attach(cls, fd: int) -> Region:
        """Open the region that `fd` refers to; the caller keeps `fd` and may close it.

        Raises LayoutMismatch where `fd` is something else or a region of another layout.
        """
        _check_seals(fd)
        _check_header(os.pread(fd, 2 * CELL, 0))
        return cls(os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the region; writers of this process are closed before."""
        self.zeros.close()
        self.tokens.close()
        self.table.close()
        self._probe.close()
        self._header.release()
        self._map.close()
        os.close(self.fd)

    def blocks(self) -> range:
        """Return the numbers of the blocks that processes write to."""
        return range(FIRST_CLAIMED, block_count(os.fstat(self.fd).st_size))

    def is_living(self, block: int) -> bool:
        """Ask the kernel whether the process that claimed `block` is alive."""
        return self._probe.is_held(living(block))

    def claim(self, epoch: int, worker: int) -> Writer:
        """Take over a block that a dead process left, or a new one, for the life of the writer.

        The block's counters are counted on from where they are, its gauges start at zero.
        Raises LockBusy.
        """
        locks = LockFile(self.fd)
        try:
            block = Block(self.fd, self._own_some_block(locks))
            occupy(block, self.table, epoch, worker)
            # Only now do the gauges count: a reader must not take the dead owner's for ours.
            locks.try_acquire(living(block.number))
        except BaseException:
            locks.close()
            raise
        return Writer(block, self.table, locks, epoch, Shared(self, locks))

    def try_lock(self, lock: Lock) -> LockFile | None:
        """Take `lock` until the returned file is closed; None where another has it."""
        file = LockFile(self.fd)
        if file.try_acquire(lock):
            return file
        file.close()
        return None

    def reset_counters(self) -> None:
        """Have every counter begin anew for readers; who counts goes on undisturbed."""
        self.table.refresh()
        cells = [first for name, first in self.table.first.items() if name.kind in COUNTERS]
        totals = dict.fromkeys(cells, 0)
        for number in self.blocks():
            block = Block(self.fd, number)
            for cell in cells:
                totals[cell] += block.cells[cell]
            block.close()
        for cell, total in totals.items():
            self.zeros.cells[cell] = total

    def _own_some_block(self, locks: LockFile) -> int:
        while True:
            blocks = self.blocks()
            for number in blocks:
                if locks.try_acquire(owned(number)):
                    return number
            self._grow(locks, blocks.stop)

    def _grow(self, locks: LockFile, seen: int) -> None:
        with locks.hold(Lock.GROW):
            if self.blocks().stop == seen:
                os.ftruncate(self.fd, block_offset(seen + 1))


def _cells(*values: int) -> bytes:
    return b"".join(value.to_bytes(CELL, "little") for value in values)


def _check_seals(fd: int) -> None:
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:
        raise LayoutMismatch("not a memory file") from None
    if not seals & fcntl.F_SEAL_SHRINK:
        raise LayoutMismatch("a memory file that could shrink")


def _check_header(raw: bytes) -> None:
    if raw[:CELL] != _cells(MAGIC):
        raise LayoutMismatch("a memory file, but not a statistics region of trioproxy")
    version = int.from_bytes(raw[CELL:], "little")
    if version != LAYOUT_VERSION:
        raise LayoutMismatch(f"layout {version}, where this program knows layout {LAYOUT_VERSION}")
