from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.stats import tokens
from trioproxy.stats.layout import CELL, SECRET_CELL, TOKEN_SETS, TOKEN_WAYS
from trioproxy.stats.locks import LockFile, token_set
from trioproxy.stats.region import Region
from trioproxy.stats.tokens import TokenBucket

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    Spawn = Callable[[str], subprocess.Popen[str]]
    Kill = Callable[[subprocess.Popen[str]], None]


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Process:
    """One that takes tokens, with locks of its own as every process has."""

    def __init__(self, region: Region, locks: LockFile, clock: Clock) -> None:
        self._region = region
        self._locks = locks
        self._clock = clock

    def bucket(self, name: str = "b", rate: float = 1.0, burst: float = 1.0) -> TokenBucket:
        region = self._region
        return TokenBucket(
            region.tokens, self._locks, region.secret, name, rate, burst, self._clock
        )


@contextmanager
def processes(region: Region, clock: Clock, count: int = 1) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        yield [
            Process(region, stack.enter_context(LockFile(region.fd)), clock) for _ in range(count)
        ]


def given_out(bucket: TokenBucket, tries: int = 50) -> int:
    return sum(bucket.take() for _ in range(tries))


def assert_within(taken: list[float], rate: float, burst: int) -> None:
    """See that no span of time had more tokens taken than its limits allow."""
    for first, begun in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = burst + rate * (taken[last] - begun)
            assert last - first + 1 <= allowed + 1e-3


def test_a_bucket_is_full_at_first_and_gains_at_its_rate(region: Region) -> None:
    clock = Clock()
    with processes(region, clock) as [process]:
        bucket = process.bucket(rate=2.0, burst=3)
        assert [bucket.take() for _ in range(4)] == [True, True, True, False]
        clock.now += 0.4
        assert not bucket.take()
        clock.now += 0.1
        assert bucket.take()
        assert not bucket.take()


def test_a_bucket_never_holds_more_than_its_burst(region: Region) -> None:
    clock = Clock()
    with processes(region, clock) as [process]:
        bucket = process.bucket(rate=1000.0, burst=2)
        assert given_out(bucket) == 2
        clock.now += 3600
        assert given_out(bucket) == 2


def test_processes_share_a_bucket_by_its_name(region: Region) -> None:
    with processes(region, Clock(), 2) as [one, other]:
        mine, yours, elsewhere = one.bucket(burst=3), other.bucket(burst=3), other.bucket("c")
        assert [bucket.take() for bucket in (mine, yours, mine, yours)] == [True, True, True, False]
        assert elsewhere.take()


@given(
    st.floats(0.1, 1e4),
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(0, 1), st.floats(0, 0.1)), max_size=200),
)
def test_no_span_sees_more_than_burst_and_rate_allow(
    rate: float, burst: int, steps: list[tuple[int, float]]
) -> None:
    clock = Clock()
    with Region.create() as region, processes(region, clock, 2) as both:
        buckets = [process.bucket(rate=rate, burst=burst) for process in both]
        taken: list[float] = []
        for index, pause in steps:
            clock.now += pause
            if buckets[index].take():
                taken.append(clock.now)
    assert_within(taken, rate, burst)


LIMITS = [(0.01, 10), (100.0, 1), (1.0, 3), (20.0, 10), (0.1, 1), (5.0, 2), (1000.0, 50)]
"""Rates and bursts of more buckets than a set has slots."""


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(0, len(LIMITS) - 1),
            st.integers(1, 60),
            st.sampled_from([0.0, 0.001, 0.05, 1.0, 30.0]),
        ),
        max_size=60,
    )
)
def test_no_bucket_gives_more_than_its_own_in_a_set_without_a_place(
    steps: list[tuple[int, int, int, float]],
) -> None:
    clock = Clock()
    with (
        pytest.MonkeyPatch.context() as patched,
        Region.create() as region,
        processes(region, clock, 2) as both,
    ):
        patched.setattr(tokens, "TOKEN_SETS", 1)
        buckets = [
            [process.bucket(f"{rate}", rate, burst) for rate, burst in LIMITS] for process in both
        ]
        taken: list[list[float]] = [[] for _ in LIMITS]
        for process, bucket, tries, pause in steps:
            given = given_out(buckets[process][bucket], tries)
            taken[bucket] += [clock.now] * given
            clock.now += pause
    for (rate, burst), moments in zip(LIMITS, taken, strict=True):
        assert_within(moments, rate, burst)


def test_a_fast_bucket_lets_no_slow_one_of_its_set_forget(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "TOKEN_SETS", 1)
    clock = Clock()
    with processes(region, clock) as [process]:
        slow = [process.bucket(str(number), 0.01, 10) for number in range(TOKEN_WAYS)]
        assert [given_out(bucket) for bucket in slow] == [10] * TOKEN_WAYS
        given_out(process.bucket("fast", 100.0, 1))
        clock.now += 1
        assert [given_out(bucket) for bucket in slow] == [0] * TOKEN_WAYS


def test_who_finds_a_place_later_goes_on_waiting_for_what_it_took(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "TOKEN_SETS", 1)
    clock = Clock()
    with processes(region, clock) as [process]:
        for number in range(TOKEN_WAYS - 1):
            assert process.bucket(str(number), 100.0, 1).take()
        late = process.bucket("late", 0.01, 10)
        assert given_out(late) == 10
        clock.now += 1
        assert given_out(late) == 0


def test_where_a_bucket_lies_is_known_to_nobody_else() -> None:
    def slots(region: Region) -> list[int]:
        with processes(region, Clock()) as [process]:
            return [process.bucket(str(number)).slot for number in range(8)]

    with Region.create() as mine, Region.create() as theirs:
        assert slots(mine) == slots(mine)
        assert slots(mine) != slots(theirs)


def test_a_region_without_a_secret_has_buckets_too(region: Region) -> None:
    os.pwrite(region.fd, bytes(CELL), SECRET_CELL * CELL)
    with Region.attach(region.fd) as older, processes(older, Clock()) as [process]:
        assert older.secret == b""
        assert given_out(process.bucket(burst=3)) == 3


TAKE_AT_THE_END = """
import atexit
from trioproxy.stats.locks import LockFile
from trioproxy.stats.tokens import TokenBucket
bucket = TokenBucket(region.tokens, LockFile(region.fd), region.secret, "b", 1e-6, 500)
atexit.register(lambda: print(sum(bucket.take() for _ in range(400))))
"""


def test_processes_at_once_are_never_given_more(region: Region, spawn: Spawn) -> None:
    children = [spawn(TAKE_AT_THE_END) for _ in range(3)]
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
    given = [int(child.stdout.read()) for child in children if child.stdout]
    assert sum(given) == 500


def test_a_new_generation_with_a_faster_bucket_does_not_wait_for_the_slow_one(
    region: Region,
) -> None:
    clock = Clock()
    with processes(region, clock, 2) as [old, new]:
        assert given_out(old.bucket(rate=0.001, burst=10)) == 10
        fast = new.bucket(rate=100.0, burst=10)
        assert given_out(fast) == 0
        clock.now += 0.05
        assert given_out(fast) == 5


def fill_a_set(process: Process) -> tuple[list[TokenBucket], list[TokenBucket]]:
    """Return the buckets that fill a set but for its common slot, and two more of that set."""
    first = process.bucket("0")
    of_set = [first]
    number = 1
    while len(of_set) <= TOKEN_WAYS:
        bucket = process.bucket(str(number))
        if bucket.slot == first.slot:
            of_set.append(bucket)
        number += 1
    return of_set[:-2], of_set[-2:]


@pytest.fixture
def few_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "TOKEN_SETS", 4)


@pytest.mark.usefixtures("few_sets")
def test_buckets_of_one_set_do_not_disturb_each_other(region: Region) -> None:
    with processes(region, Clock()) as [process]:
        buckets, _ = fill_a_set(process)
        assert [given_out(bucket) for bucket in buckets] == [1] * len(buckets)


@pytest.mark.usefixtures("few_sets")
def test_a_set_without_a_place_gives_too_few_rather_than_too_many(region: Region) -> None:
    with processes(region, Clock()) as [process]:
        buckets, [another, yet_another] = fill_a_set(process)
        assert [given_out(bucket) for bucket in buckets] == [1] * len(buckets)
        assert given_out(another) == 1
        assert given_out(yet_another) == 0


@pytest.mark.usefixtures("few_sets")
def test_a_bucket_that_is_full_again_makes_room(region: Region) -> None:
    clock = Clock()
    with processes(region, clock) as [process]:
        buckets, [another, _] = fill_a_set(process)
        for bucket in buckets:
            bucket.take()
        clock.now += 1.0
        assert given_out(another) == 1
        assert [given_out(bucket) for bucket in buckets].count(1) >= len(buckets) - 1


def test_who_is_killed_with_the_lock_blocks_nobody(
    region: Region, spawn: Spawn, kill: Kill
) -> None:
    with processes(region, Clock()) as [process]:
        bucket = process.bucket(burst=5)
        number = bucket.slot // (TOKEN_WAYS * tokens.SLOT_CELLS)
        child = spawn(f"file = locks.LockFile(region.fd); file.try_acquire({token_set(number)})")
        assert not bucket.take(), "the lock is held, as by a process that is stopped"
        kill(child)
        assert given_out(bucket) == 5


def test_being_refused_takes_no_lock(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    with processes(region, Clock()) as [process]:
        bucket = process.bucket()
        assert bucket.take()
        monkeypatch.setattr(tokens, "acquire_soon", pytest.fail)
        assert not bucket.take()


def test_sets_are_within_their_block(region: Region) -> None:
    assert len(region.tokens.cells) >= TOKEN_SETS * TOKEN_WAYS * tokens.SLOT_CELLS
