"""Token buckets that all processes of an instance share, in cells of the region.

A bucket is one number: when it will be full again, on the machine's monotonic clock (the generic
cell rate algorithm). So a process killed at any moment leaves a bucket that is right, and one that
is full again is no different from none: its place may go to another. Taking a token costs two
system calls, a lock and its release; being refused one costs none.

Buckets are found by the hash of their names in sets of a few slots, keyed with the region's secret:
a client that chooses its address cannot choose its set. The last slot of a set is common to all
buckets that have found no place: there too few tokens are given, never too many.
"""

from __future__ import annotations

from fcntl import F_OFD_SETLK, F_UNLCK, F_WRLCK, fcntl
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING

from trioproxy.stats.layout import TOKEN_SETS, TOKEN_WAYS
from trioproxy.stats.locks import acquire_soon, lock_request, token_set

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.stats.block import Block
    from trioproxy.stats.locks import LockFile

KEY, FULL_AT = range(2)
SLOT_CELLS = 2

ROUNDING = 1e-6  # of a token


class TokenBucket:
    """Holds at most `burst` tokens, full at first, and gains `rate` of them a second.

    `name` is what the buckets of other processes have in common with this one, and `secret` is the
    region's.
    """

    __slots__ = (
        "_cells",
        "_clock",
        "_common",
        "_file",
        "_first",
        "_interval",
        "_key",
        "_lock",
        "_longest",
        "_times",
        "_unlock",
        "_whole",
        "slot",
    )

    def __init__(
        self,
        block: Block,
        locks: LockFile,
        secret: bytes,
        name: str,
        rate: float,
        burst: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        hashed = blake2b(name.encode(), key=secret, digest_size=8)
        digest = int.from_bytes(hashed.digest(), "little")
        number = digest % TOKEN_SETS
        self._cells, self._times = block.cells, block.doubles
        self._clock = clock
        self._key = digest >> 1 or 1  # 0 is no bucket
        self._first = self.slot = number * TOKEN_WAYS * SLOT_CELLS
        self._common = self._first + (TOKEN_WAYS - 1) * SLOT_CELLS
        self._interval = 1 / rate
        self._longest = (burst - 1 + ROUNDING) * self._interval
        self._whole = burst * self._interval
        self._file = locks.file
        self._lock = lock_request(F_WRLCK, token_set(number))
        self._unlock = lock_request(F_UNLCK, token_set(number))

    def take(self) -> bool:
        """Take a token; returns whether there was one."""
        now = self._clock()
        if self._cells[self.slot] == self._key:
            left = self._times[self.slot + FULL_AT] - now
            if self._longest < left <= self._whole:
                return False  # whatever others do meanwhile, there will not be more
        try:
            fcntl(self._file, F_OFD_SETLK, self._lock)
        except BlockingIOError:
            if not acquire_soon(self._file, self._lock):
                return False
        try:
            return self._take(now)
        finally:
            fcntl(self._file, F_OFD_SETLK, self._unlock)

    def _take(self, now: float) -> bool:
        times, slot = self._times, self._find(now)
        at = slot + FULL_AT
        wait = times[at] - now
        if wait < 0:
            wait = 0.0
        elif wait > self._whole and slot != self._common:
            # A generation whose bucket was slower may have left a time too far away for ours.
            wait = self._whole
        taken = wait <= self._longest
        times[at] = now + wait + (self._interval if taken else 0.0)
        return taken

    def _find(self, now: float) -> int:
        """Return the bucket's slot, or one that it takes over, or the common one."""
        if self._cells[self.slot] == self._key:
            return self.slot
        slots = range(self._first, self._common, SLOT_CELLS)
        for slot in slots:
            if self._cells[slot] == self._key:
                self.slot = slot
                return slot
        slot = min(slots, key=self._full_at)
        if self._full_at(slot) > now:
            return self._common
        # What we may have taken from the common slot is still to be waited for.
        self._times[slot + FULL_AT] = max(now, self._full_at(self._common))
        self._cells[slot] = self._key
        self.slot = slot
        return slot

    def _full_at(self, slot: int) -> float:
        return self._times[slot + FULL_AT]
