"""Claims, growth and the four ways in which a process leaves its block."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING

import pytest

from trioproxy.stats import locks
from trioproxy.stats import region as region_module
from trioproxy.stats.handles import HiddenCounter
from trioproxy.stats.layout import FIRST_CLAIMED as FIRST
from trioproxy.stats.layout import LAYOUT_VERSION
from trioproxy.stats.locks import LockBusy, LockFile
from trioproxy.stats.reader import Owner, Reader
from trioproxy.stats.region import LayoutMismatch, Region

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from trioproxy.stats.block import Block

    Spawn = Callable[[str], subprocess.Popen[str]]
    Kill = Callable[[subprocess.Popen[str]], None]

COUNTS = """
writer = region.claim(3, 1)
writer.counter("cx_total").add(5)
writer.gauge("cx_active").add(2)
writer.histogram("cx_length_ms").record(8.0)
"""

RACE = """
import os

children = []
for worker in range(4):
    child = os.fork()
    if not child:
        own = Region.attach(region.fd)
        writer = own.claim(3, worker)
        for n in range(200):
            writer.counter(f"c{n}").add()
        os._exit(0)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""


@pytest.fixture
def reader(region: Region) -> Iterator[Reader]:
    with Reader(region, 3) as reader:
        yield reader


def test_it_cannot_be_cut_short_and_has_no_name(region: Region) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(region.fd, 0)
    with pytest.raises(PermissionError):
        fcntl.fcntl(region.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    assert os.fstat(region.fd).st_nlink == 0
    assert not os.get_inheritable(region.fd)


def test_it_costs_memory_only_where_it_is_written(region: Region) -> None:
    with region.claim(0, 0) as writer:
        writer.counter("cx_total").add()
        assert os.fstat(region.fd).st_blocks * 512 <= 8 * 4096


def test_it_is_passed_over_a_socket(region: Region) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, region.claim(0, 0) as writer:
        writer.counter("cx_total").add(7)
        socket.send_fds(ours, [b"region"], [region.fd])
        _, fds, _, _ = socket.recv_fds(theirs, 10, 1)
        with Region.attach(fds[0]) as other, Reader(other, 0) as reader:
            os.close(fds[0])
            with other.claim(0, 1) as theirs_writer:
                theirs_writer.counter("cx_total").add(3)
                assert reader.snapshot().counters == {"cx_total": 10}
                assert reader.living() == [Owner(FIRST, 0, 0), Owner(FIRST + 1, 0, 1)]


@pytest.fixture
def impostor() -> Iterator[int]:
    fd = os.memfd_create("impostor", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 4096)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    yield fd
    os.close(fd)


def test_another_layout_is_refused_by_number(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_module, "LAYOUT_VERSION", 99)
    with pytest.raises(LayoutMismatch, match=f"layout {LAYOUT_VERSION}, .* knows layout 99"):
        Region.attach(region.fd)


def test_what_is_no_region_is_refused(impostor: int) -> None:
    with pytest.raises(LayoutMismatch, match="not a statistics region"):
        Region.attach(impostor)


def test_what_could_shrink_is_refused() -> None:
    fd = os.memfd_create("unsealed")
    with pytest.raises(LayoutMismatch, match="shrink"):
        Region.attach(fd)
    os.close(fd)


def test_what_is_no_memory_file_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(LayoutMismatch, match="not a memory file"):
        Region.attach(ours.fileno())


def test_each_living_process_has_a_block_of_its_own(region: Region, reader: Reader) -> None:
    with region.claim(3, -1), region.claim(3, 0), Region.attach(region.fd) as other:
        with other.claim(4, -1) as last:
            assert reader.living() == [
                Owner(FIRST, 3, -1),
                Owner(FIRST + 1, 3, 0),
                Owner(FIRST + 2, 4, -1),
            ]
            assert repr(last) == f"<Writer block {FIRST + 2} epoch 4 worker -1>"
        assert reader.living() == [Owner(FIRST, 3, -1), Owner(FIRST + 1, 3, 0)]


def test_deploys_do_not_make_it_grow(region: Region) -> None:
    for epoch in range(10):
        with region.claim(epoch, -1), region.claim(epoch, 0):
            pass
    assert len(region.blocks()) == 2


def test_growing_leaves_old_mappings_as_they_are(region: Region, reader: Reader) -> None:
    with region.claim(3, 0) as early:
        counter = early.counter("cx_total")
        counter.add()
        writers = [region.claim(3, worker) for worker in range(1, 6)]
        counter.add()
        assert reader.snapshot().counters == {"cx_total": 2}
        for writer in writers:
            writer.close()


def test_a_claim_that_cannot_grow_leaves_nothing_behind(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LockFile, "patience", 0.01)
    open_before = os.listdir("/proc/self/fd")
    with LockFile(region.fd) as stopped:
        assert stopped.try_acquire(locks.Lock.GROW)
        with pytest.raises(LockBusy):
            region.claim(0, 0)
    assert os.listdir("/proc/self/fd") == open_before


def test_a_killed_process_leaves_its_counters_alone(
    region: Region, reader: Reader, spawn: Spawn, kill: Kill
) -> None:
    """A80, A81, A82: with -9; no stale gauge, and the next process counts on from there."""
    child = spawn(COUNTS)
    alive = reader.snapshot()
    assert (alive.counters, alive.gauges) == ({"cx_total": 5}, {"cx_active": 2})
    kill(child)
    dead = reader.snapshot()
    assert (dead.counters, dead.gauges) == ({"cx_total": 5}, {"cx_active": 0})
    assert dead.histograms == alive.histograms
    assert reader.living() == []

    spawn(COUNTS)
    again = reader.snapshot()
    assert (again.counters, again.gauges) == ({"cx_total": 10}, {"cx_active": 2})
    assert again.histograms["cx_length_ms"].count == 2
    assert len(region.blocks()) == 1


def test_many_processes_at_once(reader: Reader, spawn: Spawn, kill: Kill) -> None:
    children = [spawn(COUNTS) for _ in range(3)]
    assert reader.snapshot().gauges == {"cx_active": 6}
    kill(children[0])
    assert reader.snapshot().gauges == {"cx_active": 4}
    assert reader.snapshot().counters == {"cx_total": 15}


def test_processes_that_race_for_blocks_and_names(
    region: Region, reader: Reader, spawn: Spawn
) -> None:
    spawn(RACE)
    assert reader.snapshot().counters == {f"c{n}": 4 for n in range(200)}
    assert len(region.table.first) == 200
    assert 1 <= len(region.blocks()) <= 4


def test_what_another_process_added_is_not_added_again(region: Region) -> None:
    with LockFile(region.fd) as locks:
        region._grow(locks, seen=FIRST)
        region._grow(locks, seen=FIRST)
        assert len(region.blocks()) == 1
        region._grow(locks, seen=FIRST + 1)
        region._grow(locks, seen=FIRST)
        assert len(region.blocks()) == 2


def test_a_block_whose_gauges_are_not_yet_zeroed_does_not_count(
    region: Region, reader: Reader, spawn: Spawn, kill: Kill
) -> None:
    kill(spawn(COUNTS))
    with LockFile(region.fd) as claimer:
        assert claimer.try_acquire(locks.owned(FIRST))
        assert reader.snapshot().gauges == {"cx_active": 0}


def test_a_closed_copy_of_a_writer_ends_no_claim(region: Region, reader: Reader) -> None:
    """What a forked child does with the writer that it inherited."""
    with region.claim(3, 0) as writer:
        inherited = os.dup(writer._locks.file)
        os.close(inherited)
        assert reader.living() == [Owner(FIRST, 3, 0)]
    assert reader.living() == []


def test_a_reset_holds_for_all_living_and_dead_and_disturbs_nobody(
    region: Region, reader: Reader, spawn: Spawn, kill: Kill
) -> None:
    """A86: counters begin anew, whichever process or generation counted; nothing else does."""
    kill(spawn(COUNTS))
    with region.claim(2, 0) as parent, region.claim(3, 0) as child:
        writers = (parent, child)
        counters = [writer.counter("cx_total") for writer in writers]
        hidden = [writer.handle(HiddenCounter, "host.cx_total") for writer in writers]
        for handle in (*counters, *hidden):
            handle.add(20)
        parent.gauge("cx_active").add(2)
        with Region.attach(region.fd) as other:
            other.reset_counters()
        snapshot = reader.snapshot()
        assert snapshot.counters == {"cx_total": 0}
        assert snapshot.hidden == {"host.cx_total": 0}
        assert snapshot.gauges == {"cx_active": 2}
        assert snapshot.histograms["cx_length_ms"].count == 1
        for handle in (*counters, *hidden):
            handle.add(3)
        assert reader.snapshot().counters == {"cx_total": 6}
        assert reader.snapshot().hidden == {"host.cx_total": 6}


def test_a_reset_between_two_looks_is_never_seen_as_a_minus(
    region: Region, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with region.claim(3, 0) as writer:
        counter = writer.counter("cx_total")
        counter.add(5)
        mapped = reader._mapped

        def and_then() -> Iterator[Block]:
            yield from mapped()
            counter.add()
            region.reset_counters()

        monkeypatch.setattr(reader, "_mapped", and_then)
        assert reader.snapshot().counters["cx_total"] >= 0


def test_a_lock_across_generations(region: Region) -> None:
    """A88: 'a restart is in progress'."""
    held = region.try_lock(locks.Lock.RESTART)
    assert held
    with held, Region.attach(region.fd) as other:
        assert other.try_lock(locks.Lock.RESTART) is None
    again = region.try_lock(locks.Lock.RESTART)
    assert again
    again.close()


def test_everything_is_closed_at_the_end() -> None:
    before = os.listdir("/proc/self/fd")
    with Region.create() as region, Reader(region, 0) as reader, region.claim(0, 0) as writer:
        writer.counter("cx_total").add()
        reader.snapshot()
    assert os.listdir("/proc/self/fd") == before
