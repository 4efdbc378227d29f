"""Sums over the blocks: what the admin interface shows, always as of this moment."""

from __future__ import annotations

from itertools import chain
from operator import sub
from typing import TYPE_CHECKING

import attrs

from trioproxy.stats.block import Block
from trioproxy.stats.layout import EPOCH_CELL, HISTOGRAM_CELLS, WORKER_CELL, Kind
from trioproxy.stats.snapshot import Distribution, Snapshot
from trioproxy.stats.table import Name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import TracebackType
    from typing import Self

    from trioproxy.stats.region import Region


@attrs.frozen
class Owner:
    """Whose a living block is."""

    block: int
    epoch: int
    worker: int


class Reader:
    """Reads for one generation, `epoch`: gauges that each generation has for itself are its own.

    It waits for nobody: what a process leaves that is stopped or dies half-way is read as it is.
    """

    def __init__(self, region: Region, epoch: int) -> None:
        self.epoch = epoch
        self._region = region
        self._table = region.table
        self._blocks: dict[int, Block] = {}
        self._used: set[str] = set()

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
        """Unmap the blocks."""
        for block in self._blocks.values():
            block.close()
        self._blocks.clear()

    def living(self) -> list[Owner]:
        """Return the processes that are alive."""
        return [
            Owner(block.number, block.cells[EPOCH_CELL], block.cells[WORKER_CELL])
            for block in self._mapped()
            if self._region.is_living(block.number)
        ]

    def gauge(self, name: str, epoch: int) -> int:
        """Return a gauge's sum over the living processes of one generation; unknown is 0."""
        self._table.refresh()
        first = self._table.first.get(Name(Kind.ACCUMULATE, name))
        if first is None:
            return 0
        of_epoch = [owner.block for owner in self.living() if owner.epoch == epoch]
        return sum(self._blocks[number].cells[first] for number in of_epoch)

    def counts(self, names: Iterable[Name]) -> list[int]:
        """Return what all processes ever counted under each name, resets aside; unknown is 0."""
        self._table.refresh()
        cells = [block.cells for block in self._mapped()]
        places = map(self._table.first.get, names)
        return [0 if at is None else sum(each[at] for each in cells) for at in places]

    def snapshot(self) -> Snapshot:
        """Return every statistic that a living generation uses."""
        # Who is alive is asked first: of a block that changes hands later, what is read is either
        # what its owner left or the zeros of the next one.
        owners = self.living()
        self._table.refresh()
        oldest = min((owner.epoch for owner in owners), default=0)
        marks = self._table.newest_use()
        first_cells = {
            name: first for name, first in self._table.first.items() if marks[first] >= oldest
        }
        snapshot = self._compose(first_cells, owners)
        values = (snapshot.counters, snapshot.gauges, snapshot.histograms)
        self._used.update(name for name, value in chain(*(v.items() for v in values)) if value)
        return attrs.evolve(snapshot, used=frozenset(self._used))

    def _compose(self, first_cells: dict[Name, int], owners: list[Owner]) -> Snapshot:
        end = self._table.cells_end
        # Read first: so a reset in between shows up too late rather than as a negative count.
        zeros = self._region.zeros.cells[:end].tolist()
        columns = {block.number: block.cells[:end].tolist() for block in self._mapped()}
        everybody = _summed(columns.values(), end)
        counted = list(map(sub, everybody, zeros))
        living = _summed([columns[owner.block] for owner in owners], end)
        own = _summed([columns[o.block] for o in owners if o.epoch == self.epoch], end)

        counters, gauges, hidden = dict[str, int](), dict[str, int](), dict[str, int]()
        single = {
            Kind.COUNTER: (counters, counted),
            Kind.ACCUMULATE: (gauges, living),
            Kind.NEVER_IMPORT: (gauges, own),
            Kind.HIDDEN_COUNTER: (hidden, counted),
            Kind.HIDDEN_GAUGE: (hidden, living),
        }
        histograms = dict[str, Distribution]()
        for name, first in first_cells.items():
            if name.kind == Kind.HISTOGRAM:
                histograms[name.text] = self._distribution(first, everybody)
            elif name.kind in single:  # a later version may know more kinds
                values, column = single[Kind(name.kind)]
                values[name.text] = column[first]
        return Snapshot(counters, gauges, histograms, hidden)

    def _distribution(self, first: int, everybody: list[int]) -> Distribution:
        total = sum(block.doubles[first] for block in self._blocks.values())
        return Distribution(total, tuple(everybody[first + 1 : first + HISTOGRAM_CELLS]))

    def _mapped(self) -> Iterable[Block]:
        for number in self._region.blocks():
            if number not in self._blocks:
                self._blocks[number] = Block(self._region.fd, number)
        return self._blocks.values()


def _summed(columns: Collection[list[int]], width: int) -> list[int]:
    if not columns:
        return [0] * width
    return list(map(sum, zip(*columns, strict=True)))
