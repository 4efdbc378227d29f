"""The measurement of how connections leave: what it sees, how it judges, what it draws."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

import pytest

from benchmarks.leaving import works
from benchmarks.leaving.__main__ import markdown
from benchmarks.leaving.plot import policy, svg
from benchmarks.leaving.ramp import Drain, Ramp, shares
from benchmarks.leaving.stall import WAYS, Turns
from soak.ledger import Kind, Ledger, Outcome, Phase, Restart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_real_drain(tmp_path: Path) -> None:
    """Who asks is told with the next answer; who is idle is closed at a quarter of the time."""
    ramp = Drain("immediate", 2.0, 5).measure(tmp_path, min(os.sched_getaffinity(0)))
    assert len(ramp.told) == len(ramp.closed) == 5
    assert 0 < min(ramp.told) < 0.25 <= min(ramp.closed)


def test_the_policy_is_what_is_documented() -> None:
    gradual, immediate = policy("gradual"), policy("immediate")
    assert (0.125, 0.51) in gradual["told"]
    assert (0.375, 0.51) in gradual["closed"]
    assert {moment for moment, _ in immediate["told"]} == {0.0}
    assert {moment for moment, _ in immediate["closed"]} == {0.25}


def test_curves_are_steps() -> None:
    assert shares([0.3, 0.1]) == [(0.1, 0.5), (0.3, 1.0)]
    ramp = Ramp([0.1, 0.11], [0.3, 0.4])
    root = ElementTree.fromstring(svg({"gradual": ramp, "immediate": ramp}))
    curves = [each for each in root.iter() if each.get("class") == "told"]
    assert len(curves) == 3  # in the legend, and in each panel
    assert curves[1].get("d", "").startswith("M52.0 234.0L")


def test_the_longest_turn_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([1.0, 1.5, 2.0, 2.1])
    used = iter([1.0, 1.1, 2.0, 2.3])
    turns = Turns()
    turns.before_io_wait(0)
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    monkeypatch.setattr("time.thread_time", lambda: next(used))
    for _ in range(2):
        turns.after_io_wait(0)
        turns.before_io_wait(0)
    assert (turns.elapsed, turns.cpu) == (pytest.approx(0.5), pytest.approx(0.3))


@pytest.mark.slow
def test_connections_leave_each_way() -> None:
    findings = list(works.stalls(0.002, lambda _: None))
    assert len(findings) == len(WAYS)
    assert findings[0].what.startswith("20 connections")
    assert all(each.kept for each in findings)


def ledger(kind: Kind, lost: int, seconds: float) -> Ledger:
    """What was seen in one restart."""
    seen = Ledger(lambda: 0.0)
    seen.restarts.append(Restart((2, 2), 0, 1, 2, None, {}, lost))
    seen.counts[kind, Outcome.CLOSED] = lost
    seen.counts[kind, Outcome.ANSWERED] = 1000
    seen.latencies[kind, Phase.CALM].add(0, 0.01)
    seen.latencies[kind, Phase.STARTING].add(0, 0.02)
    seen.latencies[kind, Phase.DRAINING].add(0, seconds)
    return seen


@pytest.mark.parametrize(
    ("work", "kind", "lost", "seconds", "kept"),
    [
        (works.pairs, Kind.TCP, 0, 0.25, [True, True]),
        (works.pairs, Kind.TCP, 1, 0.26, [False, False]),
        (works.asking, Kind.BUSY, 0, 9, [True, True]),
        (works.asking, Kind.BUSY, 1, 9, [False, True]),
    ],
)
def test_what_is_lost_or_late_breaks_the_promise(
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[..., list[works.Finding]],
    kind: Kind,
    lost: int,
    seconds: float,
    kept: list[bool],
) -> None:
    monkeypatch.setattr(works, "run", lambda *_: ledger(kind, lost, seconds))
    findings = list(work(1.0, lambda _: None))
    assert [each.kept for each in findings] == kept
    table = markdown(findings).splitlines()
    assert table[2].endswith("|") is True
    assert ("**" in table[2]) is not kept[0]
