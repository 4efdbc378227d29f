from __future__ import annotations

import mmap

from trioproxy.stats import layout
from trioproxy.stats.layout import Kind


def test_blocks_follow_one_another_from_page_to_page() -> None:
    assert layout.block_offset(0) == layout.NAMES_START + layout.NAMES_SPACE
    for block in range(5):
        assert layout.block_offset(block) % mmap.ALLOCATIONGRANULARITY == 0
        assert layout.block_offset(block + 1) - layout.block_offset(block) == layout.BLOCK_SPACE
        assert layout.block_count(layout.block_offset(block)) == block


def test_a_histogram_has_a_sum_and_its_buckets_anything_else_one_cell() -> None:
    assert layout.cells_of(Kind.HISTOGRAM) == len(layout.BOUNDS) + 2
    assert {layout.cells_of(kind) for kind in Kind if kind is not Kind.HISTOGRAM} == {1}
