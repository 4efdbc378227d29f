from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioproxy.drain.ladder import STAY, Ladder

rungs = st.lists(st.floats(0, 1e9), min_size=4, max_size=4).map(
    lambda times: Ladder(*sorted(times))
)


def times(ladder: Ladder) -> list[float]:
    return [ladder.notice, ladder.idle, ladder.stream, ladder.life]


@given(rungs, rungs)
def test_tightened_asks_for_whatever_either_asks_for_first(one: Ladder, other: Ladder) -> None:
    """A62."""
    both = one.tightened(other)
    assert both == other.tightened(one)
    assert times(both) == [min(pair) for pair in zip(times(one), times(other), strict=True)]
    assert times(both) == sorted(times(both))


@given(st.lists(rungs))
def test_however_many_causes_it_only_ever_tightens(causes: list[Ladder]) -> None:
    """A62."""
    ladder = STAY
    for cause in causes:
        tighter = ladder.tightened(cause)
        assert all(new <= old for new, old in zip(times(tighter), times(ladder), strict=True))
        ladder = tighter


@given(rungs)
def test_to_stay_asks_for_nothing(ladder: Ladder) -> None:
    assert STAY.tightened(ladder) == ladder == ladder.tightened(STAY)
