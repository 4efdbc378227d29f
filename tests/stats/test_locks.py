from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.layout import FIRST_CLAIMED
from trioproxy.stats.locks import Lock, LockBusy, LockFile, gauge_lock, living, owned, token_set

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from trioproxy.stats.region import Region


def test_a_lock_excludes_every_other_open_file(region: Region) -> None:
    with LockFile(region.fd) as mine, LockFile(region.fd) as other:
        assert mine.try_acquire(Lock.RESTART)
        assert not other.try_acquire(Lock.RESTART)
        assert other.is_held(Lock.RESTART)
        mine.release(Lock.RESTART)
        assert not other.is_held(Lock.RESTART)
        assert other.try_acquire(Lock.RESTART)


def test_who_holds_a_lock_is_not_told_that_another_does(region: Region) -> None:
    with LockFile(region.fd) as mine:
        assert mine.try_acquire(Lock.LOG)
        assert not mine.is_held(Lock.LOG)


def test_locks_are_independent(region: Region) -> None:
    kinds = (owned, living, token_set, gauge_lock)
    everything = [*Lock, *(kind(number) for number in range(20) for kind in kinds)]
    assert len(set(everything)) == len(everything)
    with LockFile(region.fd) as mine, LockFile(region.fd) as other:
        assert mine.try_acquire(owned(3))
        assert [byte for byte in everything if other.is_held(byte)] == [owned(3)]


def test_closing_lets_go_and_may_be_repeated(region: Region) -> None:
    with LockFile(region.fd) as mine:
        assert mine.try_acquire(Lock.GROW)
        mine.close()
    with LockFile(region.fd) as other:
        assert not other.is_held(Lock.GROW)


def test_a_mapping_that_is_dropped_leaves_the_lock_alone(region: Region) -> None:
    with region.claim(0, 0), LockFile(region.fd) as other:
        region.claim(0, 1).close()
        assert other.is_held(owned(FIRST_CLAIMED))


def test_holding_for_an_instant(region: Region) -> None:
    with LockFile(region.fd) as mine, LockFile(region.fd) as other:
        with mine.hold(Lock.NAMES):
            assert other.is_held(Lock.NAMES)
        assert not other.is_held(Lock.NAMES)


def test_a_stopped_holder_is_not_waited_for_without_end(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LockFile, "patience", 0.01)
    with LockFile(region.fd) as stopped, LockFile(region.fd) as mine:
        assert stopped.try_acquire(Lock.NAMES)
        with pytest.raises(LockBusy, match="stopped"), mine.hold(Lock.NAMES):
            pass
        assert stopped.try_acquire(Lock.NAMES)


def test_the_kernel_lets_go_when_the_holder_is_killed(
    region: Region,
    spawn: Callable[[str], subprocess.Popen[str]],
    kill: Callable[[subprocess.Popen[str]], None],
) -> None:
    """A88: a lock outlives neither its holder nor the fds that others have of the region."""
    child = spawn("file = region.try_lock(locks.Lock.RESTART)\nassert file")
    assert region.try_lock(Lock.RESTART) is None
    kill(child)
    file = region.try_lock(Lock.RESTART)
    assert file
    file.close()


def test_a_forked_copy_is_closed_without_harm(region: Region) -> None:
    with LockFile(region.fd) as mine, LockFile(region.fd) as other:
        assert mine.try_acquire(Lock.LOG)
        os.close(os.dup(mine.file))
        assert other.is_held(Lock.LOG)
