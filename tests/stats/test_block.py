from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.block import Block
from trioproxy.stats.layout import BLOCK_CELLS

if TYPE_CHECKING:
    from trioproxy.stats.region import Region


def test_a_block_is_shared_by_all_who_map_it(region: Region) -> None:
    ours, theirs = Block(region.fd, 0), Block(region.fd, 0)
    ours.cells[BLOCK_CELLS - 1] = -5
    ours.doubles[9] = 0.25
    assert (theirs.cells[BLOCK_CELLS - 1], theirs.doubles[9]) == (-5, 0.25)
    ours.close()
    theirs.close()


def test_a_closed_block_refuses_to_count(region: Region) -> None:
    block = Block(region.fd, 0)
    cells = block.cells
    block.close()
    with pytest.raises(ValueError, match="released"):
        cells[1] = 2
