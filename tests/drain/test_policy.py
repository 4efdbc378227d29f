from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioproxy.drain.ladder import Ladder
from trioproxy.drain.policy import Policy
from trioproxy.drain.span import Span

SHARES = st.builds(Span, st.floats(0, 1), st.just(value=True))
SPANS = SHARES | st.builds(Span, st.floats(0, 1000))
SECONDS = st.floats(0, 1000)
DRAWN = st.floats(0, 1, exclude_max=True)


@given(st.builds(Policy, SPANS, SPANS, SPANS, SPANS), SECONDS, SECONDS, DRAWN)
def test_rungs_are_in_order(policy: Policy, drain: float, life: float, u: float) -> None:
    ladder = policy.ladder(0.0, drain=drain, life=life, u=u)
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
