from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.handles import Counter, HiddenCounter, HiddenGauge, OwnGauge
from trioproxy.stats.locks import Lock, LockBusy, LockFile
from trioproxy.stats.reader import Reader

if TYPE_CHECKING:
    from trioproxy.stats.region import Region


def test_every_kind_of_handle(region: Region) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        writer.counter("rq_total").add(1)
        writer.gauge("rq_active").set(2)
        writer.handle(OwnGauge, "membership_total").set(3)
        writer.histogram("rq_time").record(4)
        writer.handle(HiddenCounter, "host.rq_total").add(5)
        writer.handle(HiddenGauge, "host.rq_active").set(6)
        snapshot = reader.snapshot()
        assert snapshot.counters == {"rq_total": 1}
        assert snapshot.gauges == {"rq_active": 2, "membership_total": 3}
        assert snapshot.histograms["rq_time"].sum == 4
        assert snapshot.hidden == {"host.rq_total": 5, "host.rq_active": 6}


def test_many_handles_at_once_come_in_order(region: Region) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        for n, handle in enumerate(writer.handles((Counter, name) for name in "abca")):
            handle.add(10**n)
        assert reader.snapshot().counters == {"a": 1001, "b": 10, "c": 100}


def test_a_closed_writer_cannot_count_into_the_block_of_the_next(region: Region) -> None:
    with region.claim(0, 0) as early:
        counter, histogram = early.counter("rq_total"), early.histogram("rq_time")
    with region.claim(1, 0), Reader(region, 1) as reader:
        with pytest.raises(ValueError, match="released"):
            counter.add()
        with pytest.raises(ValueError, match="released"):
            histogram.record(1)
        assert reader.snapshot().counters == {}


def test_names_wait_for_their_lock_only_so_long(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LockFile, "patience", 0.01)
    with region.claim(0, 0) as writer, LockFile(region.fd) as stopped:
        assert stopped.try_acquire(Lock.NAMES)
        with pytest.raises(LockBusy):
            writer.counter("rq_total")
        stopped.release(Lock.NAMES)
        writer.counter("rq_total").add()
