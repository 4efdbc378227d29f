"""Locks in the region: each a byte of the file, let go by the kernel when its holder dies.

They are of the OFD kind, which belongs to an open file and not to a process. An fd that was
inherited or received shares its open file with the sender, so locks taken on it exclude nobody:
every `LockFile` therefore opens the region anew. The bytes are numbers only; nothing is stored.
"""

from __future__ import annotations

import enum
import fcntl
import os
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

_POLL = 0.001  # s
SHORT_PATIENCE = 0.01  # s
_FLOCK = struct.Struct("hhqqi4x")  # type, whence, start, length, pid


class Lock(enum.IntEnum):
    """The locks that there is one of in a region."""

    NAMES = 0  # who appends to the table of names
    GROW = 1  # who adds a block
    RESTART = 2  # the child of the restart in progress
    LOG = 3  # who writes to or reopens the shared log file


def owned(block: int) -> int:
    """Return the lock that a process holds for life on the block that it writes to."""
    return 64 + 2 * block


def living(block: int) -> int:
    """Return the lock that says that the gauges of the block are those of its living owner."""
    return 65 + 2 * block


def token_set(number: int) -> int:
    """Return the lock on one set of token buckets."""
    return (1 << 40) + number


def gauge_lock(cell: int) -> int:
    """Return the lock under which the sum of a gauge is looked at and changed."""
    return (1 << 41) + cell


def lock_request(kind: int, byte: int) -> bytes:
    """Return what `fcntl` takes to set (F_WRLCK) or clear (F_UNLCK) the lock."""
    return _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0)


def acquire_soon(file: int, request: bytes) -> bool:
    """Make a lock request that waits for microseconds; False where the holder is stopped.

    `file` is a lock file's. The loop stands still meanwhile, so patience is short.
    """
    give_up = 0.0
    while True:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, request)
        except BlockingIOError:
            now = time.monotonic()
            give_up = give_up or now + SHORT_PATIENCE
            if now > give_up:
                return False
            os.sched_yield()
        else:
            return True


class LockBusy(Exception):
    """A lock that is only ever held for an instant was not let go: its holder is stopped."""


class LockFile:
    """An open file of the region, for locks alone; closing it lets all of them go."""

    patience: ClassVar[float] = 5.0  # s, with a lock that is only ever held for an instant

    def __init__(self, fd: int) -> None:
        self.file = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)

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
        """Close the file. A fork's copy must be closed too, or the locks outlive their holder."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def try_acquire(self, byte: int) -> bool:
        """Take the lock if it is free; return whether it is held now."""
        try:
            self._set(fcntl.F_WRLCK, byte)
        except BlockingIOError:
            return False
        return True

    def release(self, byte: int) -> None:
        """Let the lock go."""
        self._set(fcntl.F_UNLCK, byte)

    def is_held(self, byte: int) -> bool:
        """Return whether another open file, in whatever process, holds the lock."""
        asked = lock_request(fcntl.F_WRLCK, byte)
        answer = fcntl.fcntl(self.file, fcntl.F_OFD_GETLK, asked)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    @contextmanager
    def hold(self, byte: int) -> Iterator[None]:
        """Hold the lock for an instant; raises LockBusy when patience runs out.

        The kernel has no lock request with a timeout, and its untimed one would wait forever for
        a stopped process: hence the polling, which in practice never goes round twice.
        """
        give_up = time.monotonic() + self.patience
        while not self.try_acquire(byte):
            if time.monotonic() > give_up:
                raise LockBusy(f"lock {byte} of the statistics region is held by a stopped process")
            time.sleep(_POLL)
        try:
            yield
        finally:
            self.release(byte)

    def _set(self, kind: int, byte: int) -> None:
        fcntl.fcntl(self.file, fcntl.F_OFD_SETLK, lock_request(kind, byte))
