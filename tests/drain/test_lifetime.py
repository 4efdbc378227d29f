from __future__ import annotations

from functools import reduce
from itertools import pairwise
from math import inf
from random import Random
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.lowlevel
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from trioproxy.drain.ladder import STAY, Ladder
from trioproxy.drain.lifetime import Cause, Lifetime, Stand
from trioproxy.drain.policy import Policy
from trioproxy.drain.sweep import FINEST_GRAIN, GRAIN, Sweep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


ULP = 1e-9
LATE = FINEST_GRAIN + ULP


def in_time(spent: float, expected: float) -> bool:
    """Not too early, and late by no more than the sweep may be."""
    return -ULP <= spent - expected <= LATE


async def spent(life: Lifetime, act: Callable[[], Awaitable[object]] = trio.sleep_forever) -> float:
    """Seconds until its time was over."""
    begun = trio.current_time()
    with life:
        await act()
    assert life.expired
    return trio.current_time() - begun


async def test_whose_peer_has_left_is_ended_and_has_not_expired(sweep: Sweep) -> None:
    with Lifetime(sweep) as life:
        life.abandon()
        await trio.sleep_forever()
    assert life.abandoned
    assert not life.expired


@pytest.mark.parametrize("timeout", [0.0, 0.02, 0.2, 1.0, 4.9])
async def test_a_timeout_ends_it_to_within_the_finest_grain(
    autojump_clock: MockClock, sweep: Sweep, timeout: float
) -> None:
    await trio.sleep(0.123)
    life = Lifetime(sweep)
    life.stand(Stand.IDLE, timeout)
    assert in_time(await spent(life), timeout)


async def test_a_long_timeout_may_be_early_by_the_age_of_the_clock(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    await trio.sleep(0.123)
    life = Lifetime(sweep)
    life.stand(Stand.IDLE, 3600)
    assert 3600 - GRAIN <= await spent(life) <= 3600 + LATE


async def test_where_something_moves_it_stays(autojump_clock: MockClock, sweep: Sweep) -> None:
    life = Lifetime(sweep)

    async def move() -> None:
        life.stand(Stand.STREAM, 1)
        for _ in range(10):
            await trio.sleep(0.9)
            life.touch()
        await trio.sleep_forever()

    assert in_time(await spent(life, move), 10)


async def test_whoever_ends_in_time_did_not_expire(autojump_clock: MockClock, sweep: Sweep) -> None:
    life = Lifetime(sweep)
    with life:
        life.stand(Stand.STREAM, 1)
        await trio.sleep(0.5)
    assert not life.expired
    assert sweep.timed == set()
    assert repr(life) == "<Lifetime stream for 0.5 s>"


@pytest.mark.parametrize("first", ["limit", "stand"])
@pytest.mark.parametrize("limit", [0.03, 0.3, 7.0])
async def test_a_maximum_duration_ends_it_wherever_it_stands(
    autojump_clock: MockClock, sweep: Sweep, limit: float, first: str
) -> None:
    life = Lifetime(sweep)
    if first == "stand":
        life.stand(Stand.STREAM, 3600)
    life.limit(limit)
    if first == "limit":
        life.stand(Stand.STREAM, 3600)

    async def move() -> None:
        while True:
            await trio.sleep(0.02)
            life.touch()

    assert in_time(await spent(life, move), limit)
    assert life.worn_out


@pytest.mark.parametrize(
    ("stands", "rung"),
    [(Stand.IDLE, 2.0), (Stand.STREAM, 3.0), (Stand.FLOW, 4.0), (Stand.LIFE, 4.0)],
)
@pytest.mark.parametrize("tightened", ["before", "after"])
async def test_draining_it_leaves_at_the_rung_it_stands_on(
    autojump_clock: MockClock, sweep: Sweep, stands: Stand, rung: float, tightened: str
) -> None:
    begun = trio.current_time()
    ladder = Ladder(begun + 1, begun + 2, begun + 3, begun + 4)
    life = Lifetime(sweep)
    if tightened == "before":
        life.tighten(ladder)
    life.stand(stands, 3600)
    if tightened == "after":
        life.tighten(ladder)
    assert in_time(await spent(life), rung)


async def test_idle_again_after_its_idle_rung_it_leaves_at_once(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    begun = trio.current_time()
    life = Lifetime(sweep)

    async def work() -> None:
        life.stand(Stand.STREAM, 3600)
        life.tighten(Ladder(begun + 1, begun + 2, begun + 9, begun + 9))
        await trio.sleep(5.2)
        life.stand(Stand.IDLE, 3600)
        await trio.sleep_forever()

    assert in_time(await spent(life, work), 5.2)


async def test_its_own_timeout_still_counts_while_it_drains(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    life = Lifetime(sweep)
    now = trio.current_time()
    life.tighten(Ladder(now, now + 100, now + 100, now + 100))
    life.stand(Stand.IDLE, 1)
    assert in_time(await spent(life), 1)


async def test_it_is_noticed_from_its_notice_on(autojump_clock: MockClock, sweep: Sweep) -> None:
    life = Lifetime(sweep)
    assert not life.noticed
    life.tighten(Ladder(trio.current_time() + 1))
    assert not life.noticed
    await trio.sleep(1)
    assert life.noticed


async def test_withdrawn_a_drain_leaves_no_trace_on_who_was_not_told(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    """A62."""
    told, untold = Lifetime(sweep), Lifetime(sweep)
    now = trio.current_time()
    for life in (told, untold):
        life.stand(Stand.IDLE, 50)
    told.tighten(Ladder(now + 1, now + 3, now + 3, now + 3))
    untold.tighten(Ladder(now + 2, now + 3, now + 3, now + 3))
    await trio.sleep(1.5)
    told.relax()
    untold.relax()
    assert told.noticed
    assert untold.ladder is STAY
    async with trio.open_nursery() as nursery:
        ends: dict[str, float] = {}

        async def live(name: str, life: Lifetime) -> None:
            ends[name] = await spent(life) + 1.5

        nursery.start_soon(live, "told", told)
        nursery.start_soon(live, "untold", untold)
    assert in_time(ends["told"], 3)
    assert 51.5 - GRAIN <= ends["untold"] <= 51.5 + LATE


offsets = st.lists(st.floats(0, 1000), min_size=4, max_size=4).map(sorted)
events = st.one_of(
    st.tuples(st.just("tighten"), offsets),
    st.tuples(st.just("stand"), st.sampled_from(Stand), st.floats(0, 5000)),
    st.tuples(st.just("touch")),
)


@given(st.lists(events), st.none() | st.floats(0, 1000))
async def test_whatever_happens_it_never_outstays_any_ladder(
    happenings: list[tuple[object, ...]], limit: float | None
) -> None:
    """A62: under any sequence, `when` is bounded by each rung it was ever given.

    So it is for a stream's lifetime, which stands elsewhere than its connection.
    """

    class Watch:
        now = trio.current_time()

    sweep = Sweep(Watch())
    life = Lifetime(sweep)
    inner = Lifetime(sweep, within=life)
    inner.run_in(trio.CancelScope())
    begun = trio.current_time()
    if limit is not None:
        life.limit(limit)
    bounds = dict.fromkeys(Stand, inf)
    for happening in happenings:
        before = life.when
        match happening:
            case ("tighten", [notice, idle, stream, end]):
                life.tighten(Ladder(*(begun + each for each in (notice, idle, stream, end))))
                assert life.when <= before
                for stands in Stand:
                    rung = {Stand.IDLE: idle, Stand.STREAM: stream}.get(stands, end)
                    bounds[stands] = min(bounds[stands], begun + rung)
            case ("stand", Stand() as stands, float() as timeout):
                life.stand(stands, timeout)
                assert life.when <= trio.current_time() + timeout
            case _:
                life.touch()
        assert life.when <= bounds[life.stands]
        with inner:
            inner.stand(Stand.STREAM, inf)
            assert inner.when <= bounds[Stand.STREAM]
        assert limit is None or life.when <= begun + limit


async def test_what_is_within_another_drains_with_it(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    """A tunnel on a connection with a request: either is bounded by its own rung."""
    outer = Lifetime(sweep)
    request, tunnel = Lifetime(sweep, within=outer), Lifetime(sweep, within=outer)
    ends: dict[str, float] = {}

    async def live(name: str, life: Lifetime, stands: Stand) -> None:
        life.stand(stands, inf)
        ends[name] = await spent(life)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live, "outer", outer, Stand.STREAMS)
        nursery.start_soon(live, "request", request, Stand.STREAM)
        nursery.start_soon(live, "tunnel", tunnel, Stand.FLOW)
        await trio.testing.wait_all_tasks_blocked()
        now = trio.current_time()
        outer.tighten(Ladder(now + 1, now + 1, now + 2, now + 4), Cause.ADMIN)
        outer.tighten(Ladder(now + 2, now + 2, now + 3, now + 5))
        outer.relax(Cause.ADMIN)
    assert in_time(ends["request"], 3)
    assert in_time(ends["tunnel"], 5)
    assert in_time(ends["outer"], 5)


async def test_with_streams_it_stays_as_long_as_the_last_of_them(sweep: Sweep) -> None:
    now = trio.current_time()
    with Lifetime(sweep) as outer:
        outer.stand(Stand.STREAMS, inf)
        assert outer.due == inf
        with Lifetime(sweep, within=outer) as one, Lifetime(sweep, within=outer) as another:
            one.stand(Stand.STREAM, 100)
            another.stand(Stand.STREAM, 300)
            assert outer.due == another.when > one.when
            outer.tighten(Ladder(now, now, now + 200, now + 1000))
            assert outer.due == now + 200
        outer.stand(Stand.IDLE, 400)
        assert outer.due == outer.when


async def test_what_comes_within_one_that_drains_does_so_too(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    with Lifetime(sweep) as outer:
        outer.stand(Stand.STREAMS, inf)
        outer.tighten(Ladder(*(trio.current_time() + each for each in (1, 1, 2, 3))))
        inner = Lifetime(sweep, within=outer)
        inner.stand(Stand.STREAM, inf)
        assert in_time(await spent(inner), 2)
        await trio.sleep_forever()
    assert outer.expired


async def test_a_drain_of_600_seconds_in_virtual_time(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    """A73, A63: everybody idle leaves in the second quarter, spread, and after its notice."""
    rng = Random(7)
    begun = trio.current_time()
    ends: list[float] = []

    async def idle(life: Lifetime) -> None:
        with life:
            life.stand(Stand.IDLE, inf)
            await trio.sleep_forever()
        assert life.noticed
        ends.append(trio.current_time() - begun)

    async with trio.open_nursery() as nursery:
        lives = [Lifetime(sweep) for _ in range(400)]
        for life in lives:
            nursery.start_soon(idle, life)
        await trio.lowlevel.checkpoint()
        for life in lives:
            life.tighten(Policy().ladder(begun, drain=600, life=900, u=rng.random()))
    assert len(ends) == 400
    assert 150 <= min(ends) < 160
    assert 290 < max(ends) <= 300 + LATE
    assert max(after - before for before, after in pairwise(ends)) < 10


async def test_ten_thousand_are_told_without_a_stall(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    """To tell is to set a few attributes: no scope is touched, and the sweep is not moved."""
    await trio.sleep(0.1)
    lives = [Lifetime(sweep) for _ in range(10_000)]
    looks = sweep._next, sweep._sleep.deadline
    rng = Random(7)
    now = trio.current_time()
    for life in lives:
        life.stand(Stand.IDLE, 3600)
        life.tighten(Policy().ladder(now, drain=600, life=900, u=rng.random()))
    assert (sweep._next, sweep._sleep.deadline) == looks


@attrs.define
class Watch:
    """A clock that stands."""

    now: float


TIMES = st.lists(st.floats(1, 100), min_size=4, max_size=4).map(sorted)
TOLD = st.lists(st.tuples(st.sampled_from(Cause), TIMES), max_size=8)


@given(TOLD, st.sets(st.sampled_from(Cause)))
def test_each_cause_has_its_ladder(told: list[tuple[Cause, list[float]]], gone: set[Cause]) -> None:
    """A62: whatever the order; the rungs only tighten, and a withdrawn cause leaves no trace."""

    async def check() -> None:
        begun = trio.current_time()
        life = Lifetime(Sweep(Watch(begun)))
        every = [(cause, Ladder(*(begun + time for time in times))) for cause, times in told]
        for cause, ladder in every:
            before = life.ladder
            life.tighten(ladder, cause)
            assert life.ladder == before.tightened(ladder)
        for cause in gone:
            life.relax(cause)
        standing = [ladder for cause, ladder in every if cause not in gone]
        assert life.ladder == reduce(Ladder.tightened, standing, STAY)

    trio.run(check, clock=MockClock())


async def test_who_was_told_for_a_cause_goes_on_leaving_for_it(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    life = Lifetime(sweep)
    now = trio.current_time()
    life.tighten(Ladder(now + 1, now + 2, now + 3, now + 3), Cause.RESTART)
    life.tighten(Ladder(now + 5, now + 6, now + 7, now + 7), Cause.ADMIN)
    await trio.sleep(1.5)
    life.relax(Cause.RESTART)
    life.relax(Cause.ADMIN)
    assert life.ladder == Ladder(now + 1, now + 2, now + 3, now + 3)


async def test_who_waits_for_the_notice(autojump_clock: MockClock, sweep: Sweep) -> None:
    """The earliest of all ladders counts, one that is withdrawn before its time does not."""
    life = Lifetime(sweep)
    begun = trio.current_time()
    with life:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life.wait_noticed)
            await trio.testing.wait_all_tasks_blocked()
            life.tighten(Ladder(begun + 9), Cause.ADMIN)
            life.tighten(Ladder(begun + 2), Cause.RESTART)
            await trio.sleep(1)
            life.relax(Cause.RESTART)
        assert in_time(trio.current_time() - begun, 9)
        await life.wait_noticed()
        assert life.noticed


@pytest.mark.parametrize(
    ("stands", "quiet", "moves_until", "expected"),
    [
        (Stand.FLOW, 2.0, 0, 10.0),
        (Stand.FLOW, 2.0, 20, 22.0),
        (Stand.FLOW, inf, 0, 99.0),
        (Stand.LIFE, 2.0, 0, 99.0),
    ],
)
async def test_what_flows_ends_in_a_quiet_moment(
    autojump_clock: MockClock,
    sweep: Sweep,
    stands: Stand,
    quiet: float,
    moves_until: int,
    expected: float,
) -> None:
    """A66: once it is noticed, where no byte has come for so long, if that is wanted."""
    life = Lifetime(sweep)
    life.quiet = quiet
    now = trio.current_time()

    async def flow() -> None:
        life.stand(stands, 3600)
        life.tighten(Ladder(now + 10, now + 50, now + 90, now + 99))
        for _ in range(moves_until):
            await trio.sleep(1)
            life.touch()
        await trio.sleep_forever()

    assert in_time(await spent(life, flow), expected)


@pytest.mark.parametrize("life", [20.0, 5.0])
async def test_who_was_spoken_to_is_idle_no_more(
    autojump_clock: MockClock, sweep: Sweep, life: float
) -> None:
    """It is spared by the idle rung, and looked at again; not by the end of its life."""
    lifetime = Lifetime(sweep)
    lifetime.stand(Stand.IDLE, inf)
    lifetime.tighten(Ladder(0.0, 5.0, 20.0, life))
    lifetime.spoken_to = lambda: trio.current_time() < 10.0
    expected = 10.0 if life == 20.0 else 5.0
    assert expected <= await spent(lifetime) <= expected + GRAIN + ULP
