from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.buckets import BOUNDS
from trioproxy.stats.reader import Reader

if TYPE_CHECKING:
    from trioproxy.stats.region import Region


def test_counter(region: Region) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        counter = writer.counter("rq_total")
        counter.add()
        counter.add(41)
        counter.cells[counter.index] += 1
        assert reader.snapshot().counters == {"rq_total": 43}


def test_gauge_goes_up_and_down_and_below_zero(region: Region) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        gauge = writer.gauge("rq_active")
        gauge.set(2)
        gauge.add(-3)
        assert reader.snapshot().gauges == {"rq_active": -1}


def test_two_handles_of_a_name_count_in_one_cell(region: Region) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        writer.counter("rq_total").add()
        writer.counter("rq_total").add()
        assert reader.snapshot().counters == {"rq_total": 2}


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0, 0), (0.01, 0), (0.0101, 1), (1, BOUNDS.index(1)), (1e8, len(BOUNDS) - 1), (1e12, -1)],
)
def test_histogram(region: Region, value: float, bucket: int) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        histogram = writer.histogram("rq_time")
        histogram.record(value)
        histogram.record(value)
        found = reader.snapshot().histograms["rq_time"]
        assert found.sum == 2 * value
        assert found.buckets[bucket] == 2
        assert found.count == 2
