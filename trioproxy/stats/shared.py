"""What all processes of an instance have together: limits that hold for all of them at once."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from operator import add
from typing import TYPE_CHECKING

from trioproxy.stats.block import Block
from trioproxy.stats.locks import acquire_soon, gauge_lock, lock_request
from trioproxy.stats.tokens import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trioproxy.stats.handles import Gauge
    from trioproxy.stats.locks import LockFile
    from trioproxy.stats.region import Region


class Shared:
    """The region as the limits of one process see it; `locks` are that process's own."""

    def __init__(self, region: Region, locks: LockFile) -> None:
        self._region = region
        self._locks = locks
        self._blocks: dict[int, Block] = {}
        self._names: dict[str, int] = {}

    def close(self) -> None:
        """Unmap what was mapped."""
        for block in self._blocks.values():
            block.close()
        self._blocks.clear()

    def unique(self, name: str) -> str:
        """Return a name for the n-th that this process asks for by `name`; others have the same."""
        number = self._names[name] = self._names.get(name, 0) + 1
        return f"{name}#{number}"

    def token_bucket(
        self, name: str, rate: float, burst: float, clock: Callable[[], float]
    ) -> TokenBucket:
        """Return a bucket that processes share which name it alike."""
        region = self._region
        return TokenBucket(region.tokens, self._locks, region.secret, name, rate, burst, clock)

    def totals(self, *gauges: Gauge) -> list[int]:
        """Return what all living processes together have of each of these gauges."""
        totals = [0] * len(gauges)
        for number in self._region.blocks():
            cells = self._block(number).cells
            values = [cells[gauge.index] for gauge in gauges]
            if any(values) and self._region.is_living(number):
                totals = list(map(add, totals, values))
        return totals

    @contextmanager
    def hold(self, gauge: Gauge) -> Iterator[bool]:
        """Hold the lock of a gauge for an instant; yields False where a stopped process has it."""
        byte = gauge_lock(gauge.index)
        held = acquire_soon(self._locks.file, lock_request(fcntl.F_WRLCK, byte))
        try:
            yield held
        finally:
            if held:
                self._locks.release(byte)

    def _block(self, number: int) -> Block:
        if number not in self._blocks:
            self._blocks[number] = Block(self._region.fd, number)
        return self._blocks[number]
