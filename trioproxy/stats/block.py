"""One block of the region, mapped into this process."""

from __future__ import annotations

import mmap

from trioproxy.stats.layout import BLOCK_SPACE, block_offset


class Block:
    """The cells of one block: `cells` as signed integers, `doubles` the same as floats.

    A mapped block stays valid whatever the region does: it grows behind it and never shrinks.
    """

    def __init__(self, fd: int, number: int) -> None:
        self.number = number
        self._map = mmap.mmap(fd, BLOCK_SPACE, offset=block_offset(number))
        self.cells = memoryview(self._map).cast("q")
        self.doubles = memoryview(self._map).cast("d")

    def close(self) -> None:
        """Unmap; from now on a handle that still counts here raises ValueError."""
        self.cells.release()
        self.doubles.release()
        self._map.close()
