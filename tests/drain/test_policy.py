from __future__ import annotations

from bisect import bisect_left
from math import inf
from random import Random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.drain.ladder import Ladder
from trioproxy.drain.policy import Policy
from trioproxy.drain.span import Span

SHARES = st.builds(Span, st.floats(0, 1), st.just(value=True))
SPANS = SHARES | st.builds(Span, st.floats(0, 1000))
SECONDS = st.floats(0, 1000)
DRAWN = st.floats(0, 1, exclude_max=True)


@given(
    st.builds(Policy, SPANS, SPANS, SPANS, SPANS), SECONDS, SECONDS, DRAWN, st.booleans(), SECONDS
)
def test_rungs_are_in_order(
    policy: Policy, drain: float, life: float, u: float, immediate: bool, spread: float
) -> None:
    ladder = policy.ladder(
        0.0, drain=drain, life=life, u=u, immediate=immediate, spread=min(spread, life / 4)
    )
    assert 0 <= ladder.notice <= ladder.idle <= ladder.stream <= ladder.life <= life


@given(st.builds(Policy, SPANS, SPANS), SECONDS, DRAWN)
def test_without_time_to_ask_it_is_told_at_once_but_not_cut(
    policy: Policy, life: float, u: float
) -> None:
    ladder = policy.ladder(0.0, drain=0, life=life, u=u)
    assert ladder == Ladder(0.0, 0.0, life, life)


def test_the_default_is_spread_over_the_first_half() -> None:
    """A60: the share of those who are told grows from 0 to 1 over the notice window."""
    ladders = [Policy().ladder(0.0, drain=512, life=900, u=u / 128) for u in range(128)]
    assert [ladder.notice for ladder in ladders] == list(range(128))
    assert [ladder.idle for ladder in ladders] == list(range(128, 256))
    assert {(ladder.stream, ladder.life) for ladder in ladders} == {(900, 900)}


def test_durations_instead_of_shares() -> None:
    policy = Policy(notice=Span(4.0), idle=Span(10.0), stream=Span(60.0), life=Span(90.0))
    assert policy.ladder(0.0, drain=600, life=900, u=0.5) == Ladder(2.0, 7.0, 60.0, 90.0)


def test_immediate_is_not_spread() -> None:
    """A60."""
    ladder = Policy().ladder(0.0, drain=600, life=900, u=0.7, immediate=True)
    assert ladder == Ladder(0.0, 150.0, 900.0, 900.0)


@pytest.mark.parametrize("immediate", [True, False])
@pytest.mark.parametrize(
    ("drain", "life"), [(600.0, 900.0), (0.0, 900.0), (25.0, 25.0), (600.0, inf)]
)
def test_no_rung_is_passed_by_more_than_the_most_per_second(
    drain: float, life: float, immediate: bool
) -> None:
    """A63: whatever the cause and the strategy; each of two workers has half of it."""
    policy = Policy(max_per_second=100.0).shared(2)
    count, rng = 300, Random(1)
    spread = policy.least_spread(count, life)
    ladders = [
        policy.ladder(
            0.0,
            drain=drain,
            life=life,
            u=(rank + rng.random()) / count,
            immediate=immediate,
            spread=spread,
        )
        for rank in range(count)
    ]
    for rung in (("notice", "idle", "stream", "life"))[: 4 if life < inf else 2]:
        times = sorted(getattr(ladder, rung) for ladder in ladders)
        assert max(bisect_left(times, time + 1) - i for i, time in enumerate(times)) <= 51


def test_where_time_is_too_short_there_are_more_per_second() -> None:
    policy = Policy(max_per_second=10.0)
    assert policy.least_spread(1000, 900.0) == 100.0
    assert policy.least_spread(1000, 25.0) == 6.25
    assert attrs.evolve(policy, life=Span(10.0)).least_spread(1000, 25.0) == 2.5
    assert attrs.evolve(policy, max_per_second=None).least_spread(1000, 25.0) == 0.0
