"""A process's own block: handles are looked up here at set-up, then count without any lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from trioproxy.stats.handles import Counter, Gauge, Handle, Histogram
from trioproxy.stats.layout import EPOCH_CELL, GAUGES, WORKER_CELL
from trioproxy.stats.locks import Lock
from trioproxy.stats.table import Name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from trioproxy.stats.block import Block
    from trioproxy.stats.locks import LockFile
    from trioproxy.stats.shared import Shared
    from trioproxy.stats.table import Table

MAIN = -1
"""The worker number of a main process."""

AnyHandle = TypeVar("AnyHandle", bound=Handle)


class Writer:
    """The block of one process: its only writer as long as `locks` holds the lock on it.

    `shared` is what it has together with the other processes.
    """

    def __init__(
        self, block: Block, table: Table, locks: LockFile, epoch: int, shared: Shared
    ) -> None:
        self.epoch = epoch
        self.shared = shared
        self._block = block
        self._table = table
        self._locks = locks

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        worker = self._block.cells[WORKER_CELL]
        return f"<Writer block {self._block.number} epoch {self.epoch} worker {worker}>"

    def close(self) -> None:
        """Give the block back: its counters stay, its gauges no longer count.

        In a forked child this closes the child's copy and leaves the parent's claim alone.
        """
        self.shared.close()
        self._locks.close()
        self._block.close()

    def counter(self, name: str) -> Counter:
        """Return the handle of a counter."""
        return self.handle(Counter, name)

    def gauge(self, name: str) -> Gauge:
        """Return the handle of a gauge that is summed over all living processes."""
        return self.handle(Gauge, name)

    def histogram(self, name: str) -> Histogram:
        """Return the handle of a histogram."""
        return self.handle(Histogram, name)

    def handle(self, kind: type[AnyHandle], name: str) -> AnyHandle:
        """Return a handle of the class `kind`; raises RegionFull, LockBusy."""
        return self.handles([(kind, name)])[0]

    def handles(self, wanted: Iterable[tuple[type[AnyHandle], str]]) -> list[AnyHandle]:
        """Return many handles at the price of one lock; raises RegionFull, LockBusy."""
        pairs = [(kind, Name(kind.kind, text)) for kind, text in wanted]
        with self._locks.hold(Lock.NAMES):
            self._table.use((name for _, name in pairs), self.epoch)
        return [kind(self._block, self._table.first[name]) for kind, name in pairs]


def occupy(block: Block, table: Table, epoch: int, worker: int) -> None:
    """Make a block that is owned, but not yet living, the block of `worker` of `epoch`."""
    table.refresh()
    for name, first in table.first.items():
        if name.kind in GAUGES:
            block.cells[first] = 0
    block.cells[EPOCH_CELL] = epoch
    block.cells[WORKER_CELL] = worker
