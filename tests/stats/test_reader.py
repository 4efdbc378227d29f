from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.stats.handles import OwnGauge
from trioproxy.stats.locks import Lock, LockFile
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region
from trioproxy.stats.snapshot import Snapshot
from trioproxy.stats.writer import MAIN

if TYPE_CHECKING:
    from trioproxy.stats.writer import Writer


def test_an_empty_region(region: Region) -> None:
    with Reader(region, 0) as reader:
        assert reader.snapshot() == Snapshot()
        assert reader.gauge("server.total_connections", 0) == 0


def test_the_sums_are_of_this_moment(region: Region) -> None:
    """A80: no flush interval; what one process has counted, another one reads at once."""
    with (
        Region.attach(region.fd) as other,
        Reader(other, 0) as reader,
        region.claim(0, 0) as writer,
    ):
        counter, histogram = writer.counter("rq_total"), writer.histogram("rq_time")
        for n in range(1, 4):
            counter.add()
            histogram.record(0.5)
            snapshot = reader.snapshot()
            assert snapshot.counters["rq_total"] == n
            assert snapshot.histograms["rq_time"].count == n


def both_generations(region: Region) -> tuple[Writer, Writer, Writer, Writer]:
    old_main, old_worker = region.claim(4, MAIN), region.claim(4, 0)
    new_main, new_worker = region.claim(5, MAIN), region.claim(5, 0)
    for connections, worker in ((3, old_worker), (8, new_worker)):
        worker.counter("cx_total").add(10 * connections)
        worker.gauge("server.total_connections").set(connections)
    for epoch, main in ((4, old_main), (5, new_main)):
        main.handle(OwnGauge, "server.hot_restart_epoch").set(epoch)
    return old_main, old_worker, new_main, new_worker


def test_two_generations(region: Region) -> None:
    """A81, A83: gauges are the sum of the living, but each generation's state is its own."""
    writers = both_generations(region)
    with Reader(region, 4) as of_old, Reader(region, 5) as of_new:
        assert of_old.snapshot().counters == of_new.snapshot().counters == {"cx_total": 110}
        assert of_new.snapshot().gauges == {
            "server.total_connections": 11,
            "server.hot_restart_epoch": 5,
        }
        assert of_old.snapshot().gauges["server.hot_restart_epoch"] == 4
        assert of_new.gauge("server.total_connections", 4) == 3
        writers[0].close()
        writers[1].close()
        assert of_new.gauge("server.total_connections", 4) == 0
        assert of_new.snapshot().gauges["server.total_connections"] == 8
        assert of_new.snapshot().counters == {"cx_total": 110}


def test_a_name_leaves_with_the_last_generation_that_uses_it(region: Region) -> None:
    with region.claim(1, 0) as old, Reader(region, 2) as reader:
        old.counter("cluster.old.cx_total").add()
        old.counter("cluster.kept.cx_total").add()
        with region.claim(2, 0) as new:
            new.counter("cluster.kept.cx_total").add()
            assert set(reader.snapshot().counters) == {
                "cluster.old.cx_total",
                "cluster.kept.cx_total",
            }
            old.close()
            assert reader.snapshot().counters == {"cluster.kept.cx_total": 2}
            new.counter("cluster.old.cx_total")
            assert reader.snapshot().counters["cluster.old.cx_total"] == 1


def test_what_was_once_used_stays_used(region: Region) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        writer.counter("rq_total")
        active = writer.gauge("rq_active")
        writer.histogram("rq_time").record(0)
        active.add(1)
        assert reader.snapshot().used == {"rq_active", "rq_time"}
        active.add(-1)
        assert reader.snapshot().used == {"rq_active", "rq_time"}


def test_a_reader_waits_for_nobody(region: Region) -> None:
    with region.claim(0, 0) as writer, LockFile(region.fd) as stopped, Reader(region, 0) as reader:
        writer.counter("rq_total").add()
        assert all(stopped.try_acquire(lock) for lock in Lock)
        assert reader.snapshot().counters == {"rq_total": 1}
