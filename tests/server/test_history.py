from __future__ import annotations

from trioproxy.restart.protocol import Attempt
from trioproxy.server.history import MOST, History


def test_the_latest_are_kept_in_order() -> None:
    handed_on = tuple(Attempt(epoch, float(epoch), 1.0, "took over") for epoch in range(MOST))
    history = History(handed_on)
    assert history.attempts == handed_on
    history.note(MOST, 2.5, "died before it was ready")
    assert history.attempts[:-1] == handed_on[1:]
    last = history.attempts[-1]
    assert (last.epoch, last.seconds, last.outcome) == (MOST, 2.5, "died before it was ready")


def test_it_says_when_each_began() -> None:
    history = History()
    history.note(0, 10.0, "started")
    history.note(1, 0.0, "took over")
    first, second = history.attempts
    assert 10.0 <= second.at - first.at < 20.0
