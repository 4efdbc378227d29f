from __future__ import annotations

import random
from typing import TYPE_CHECKING

import attrs
import pytest

from trioproxy.clusters.verdict import Change, Verdict
from trioproxy.config.health_check import ActiveHealthCheck, TcpCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECK = ActiveHealthCheck(tcp=TcpCheck(), interval_jitter_percent=0.0)
TWO_THREE = attrs.evolve(CHECK, healthy_threshold=2, unhealthy_threshold=3)
RNG = random.Random(1)


def history(verdict: Verdict, marks: str) -> str:
    """Let a host pass (`+`), fail (`-`) or say that it is ill (`!`); returns its health by then."""
    healths = ""
    for mark in marks:
        change = verdict.passed() if mark == "+" else verdict.failed(at_once=mark == "!")
        assert change is verdict.change
        healths += "H" if verdict.healthy else "u"
    return healths


@pytest.mark.parametrize(
    ("marks", "healths"),
    [
        ("+", "H"),  # the first one decides
        ("-", "u"),
        ("-+", "uu"),
        ("-++", "uuH"),
        ("-+-++", "uuuuH"),  # in a row
        ("+---", "HHHu"),
        ("+--+--", "HHHHHH"),
        ("+!", "Hu"),  # it said so itself
        ("+---+-++", "HHHuuuuH"),
    ],
)
def test_health_changes_after_so_many_in_a_row(marks: str, healths: str) -> None:
    assert history(Verdict(TWO_THREE), marks) == healths


@pytest.mark.parametrize("mark", "+-")
def test_whatever_was_thought_before_the_first_check_decides(mark: str) -> None:
    verdict = Verdict(TWO_THREE, healthy=True)
    assert verdict.pending
    assert history(verdict, mark) == ("H" if mark == "+" else "u")
    assert not verdict.pending


def test_what_a_check_did() -> None:
    verdict = Verdict(TWO_THREE)
    changes = [verdict.passed(), verdict.passed()]
    changes += [verdict.failed(at_once=False) for _ in range(4)]
    assert changes == [
        Change.DONE,
        Change.NONE,
        Change.BEGUN,
        Change.BEGUN,
        Change.DONE,
        Change.NONE,
    ]


INTERVALS = attrs.evolve(
    TWO_THREE,
    interval=1.0,
    unhealthy_interval=2.0,
    unhealthy_edge_interval=3.0,
    healthy_edge_interval=4.0,
    no_traffic_interval=5.0,
    no_traffic_healthy_interval=6.0,
)


def pauses(check: ActiveHealthCheck, marks: str, *, traffic: bool) -> Sequence[float]:
    verdict, found = Verdict(check), []
    for mark in marks:
        history(verdict, mark)
        found.append(verdict.pause(RNG, traffic=traffic))
    return found


@pytest.mark.parametrize(
    ("marks", "expected"), [("++", [1, 1]), ("+---", [1, 3, 3, 2]), ("-++", [2, 4, 1])]
)
def test_the_pause_goes_by_health_and_by_what_is_on_its_way(
    marks: str, expected: list[float]
) -> None:
    assert pauses(INTERVALS, marks, traffic=True) == expected


def test_nobody_hurries_for_a_cluster_without_traffic() -> None:
    assert pauses(INTERVALS, "+-!", traffic=False) == [6, 6, 5]


def test_pauses_that_are_not_given_are_like_others() -> None:
    assert pauses(attrs.evolve(TWO_THREE, interval=1.0), "+--!++", traffic=True) == [1] * 6
    ill = attrs.evolve(TWO_THREE, interval=1.0, unhealthy_interval=2.0)
    assert pauses(ill, "+-!+", traffic=True) == [1, 2, 2, 1]
    assert pauses(TWO_THREE, "+!", traffic=False) == [60, 60]


def test_jitter_makes_a_pause_longer_but_not_much() -> None:
    jittery = attrs.evolve(CHECK, interval=10, interval_jitter=1.0, interval_jitter_percent=0.2)
    verdict = Verdict(jittery)
    verdict.passed()
    found = [verdict.pause(RNG, traffic=True) for _ in range(200)]
    assert 10 <= min(found) < 10.5
    assert 12.5 < max(found) <= 13
