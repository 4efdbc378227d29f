"""What the workers of a generation have between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.listener.progress import MOST
from trioproxy.restart.packets import BadMessage
from trioproxy.restart.protocol import Listening, Speaking
from trioproxy.server.progress import longest, summed

if TYPE_CHECKING:
    from trioproxy.server.progress import Share

ONE: Share = {
    "open": 3, "idle": 1, "told": 2, "moving": 0, "next": 4.0, "last": 30.0,
    "protocols": {"HTTP/1.1": {"idle": 1, "stream": 1}, "WebSocket": {"life": 1}},
}  # fmt: skip
OTHER: Share = {
    "open": 1, "idle": 0, "told": 1, "moving": 1, "next": 2.0,
    "protocols": {"HTTP/1.1": {"stream": 1}},
}  # fmt: skip


def test_shares_are_summed() -> None:
    """A72."""
    assert summed("web", [ONE, OTHER]) == Listening(
        "web",
        open=4,
        idle=1,
        told=3,
        moving=1,
        next=2.0,
        last=30.0,
        protocols=(Speaking("HTTP/1.1", idle=1, stream=2), Speaking("WebSocket", life=1)),
    )


def test_of_nothing_there_is_nothing() -> None:
    assert summed("web", []) == Listening("web")


def standing(number: int, age: float, rung: str = "stay", due: float | None = 60.0) -> object:
    return {
        "number": number, "listener": "web", "protocol": "TCP", "peer": "", "age": age,
        "stands": "flow", "rung": rung, "due": due, "received": None, "sent": None,
    }  # fmt: skip


def test_of_all_workers_those_that_leave_last_then_the_oldest() -> None:
    reports = {
        0: {"connections": [standing(1, 10.0), standing(2, 90.0, "life", 5.0)]},
        1: {"connections": [standing(1, 20.0), standing(2, 5.0, "life", None)]},
        2: {},
    }
    found = [(each.worker, each.number) for each in longest(reports)]
    assert found == [(1, 1), (0, 1), (1, 2), (0, 2)]


def test_there_are_never_more_than_some() -> None:
    reports = {
        worker: {"connections": [standing(n, float(n)) for n in range(MOST)]} for worker in (0, 1)
    }
    assert len(longest(reports)) == MOST


def test_what_makes_no_sense_is_not_passed_on() -> None:
    with pytest.raises(BadMessage):
        longest({0: {"connections": [{"number": "one"}]}})
