from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from trioproxy.stats.locks import LockFile, gauge_lock

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from trioproxy.stats.region import Region

    Spawn = Callable[[str], subprocess.Popen[str]]
    Kill = Callable[[subprocess.Popen[str]], None]

HAS_FIVE = """
writer = region.claim(3, 1)
writer.gauge("busy").add(5)
"""


def test_totals_are_those_of_the_living(region: Region, spawn: Spawn, kill: Kill) -> None:
    """What a process held that was killed with -9 counts no more, at once."""
    with region.claim(2, 0) as writer:
        busy, idle = writer.gauge("busy"), writer.gauge("idle")
        busy.add(2)
        child = spawn(HAS_FIVE)
        assert writer.shared.totals(busy, idle) == [7, 0]
        kill(child)
        assert writer.shared.totals(busy) == [2]


def test_one_at_a_time_holds_a_gauge(region: Region) -> None:
    with region.claim(0, 0) as one, region.claim(0, 1) as other:
        mine, yours = one.gauge("busy"), other.gauge("busy")
        with one.shared.hold(mine) as held:
            assert held
            with other.shared.hold(yours) as refused:
                assert not refused
            with other.shared.hold(other.gauge("idle")) as elsewhere:
                assert elsewhere
        with other.shared.hold(yours) as held:
            assert held


def test_a_lock_is_let_go_of_whatever_happens(region: Region) -> None:
    with region.claim(0, 0) as writer, LockFile(region.fd) as probe:
        gauge = writer.gauge("busy")
        try:
            with writer.shared.hold(gauge):
                assert probe.is_held(gauge_lock(gauge.index))
                raise KeyError
        except KeyError:
            assert not probe.is_held(gauge_lock(gauge.index))


def test_processes_that_do_the_same_name_the_same(region: Region) -> None:
    with region.claim(0, 0) as one, region.claim(1, 0) as other:
        for shared in (one.shared, other.shared):
            assert [shared.unique(name) for name in "aba"] == ["a#1", "b#1", "a#2"]


def test_a_token_bucket_of_all(region: Region) -> None:
    with region.claim(0, 0) as one, region.claim(1, 0) as other:
        buckets = [each.shared.token_bucket("b", 1e-6, 3, monotonic) for each in (one, other)]
        assert [bucket.take() for bucket in buckets * 2] == [True, True, True, False]
