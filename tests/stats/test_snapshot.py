from __future__ import annotations

import re

import pytest

from trioproxy.stats.buckets import BOUNDS
from trioproxy.stats.snapshot import Distribution, Snapshot, Type

EMPTY = Distribution(0.0, (0,) * (len(BOUNDS) + 1))
SNAPSHOT = Snapshot(
    counters={"http.a.rq_total": 2, "http.b.rq_total": 0},
    gauges={"http.a.rq_active": 0},
    histograms={"http.b.rq_time": EMPTY},
    hidden={"cluster.a.host.1.cx_total": 1},
    used=frozenset({"http.a.rq_total", "http.a.rq_active"}),
)


def names(snapshot: Snapshot) -> list[str]:
    return [*snapshot.counters, *snapshot.gauges, *snapshot.histograms]


def test_everything_by_default() -> None:
    assert SNAPSHOT.select() == SNAPSHOT


def test_by_a_pattern_anywhere_in_the_name() -> None:
    assert names(SNAPSHOT.select(pattern=re.compile(r"b\.rq_t"))) == [
        "http.b.rq_total",
        "http.b.rq_time",
    ]


def test_used_only() -> None:
    assert names(SNAPSHOT.select(used_only=True)) == ["http.a.rq_total", "http.a.rq_active"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Type.COUNTERS, ["http.a.rq_total", "http.b.rq_total"]),
        (Type.GAUGES, ["http.a.rq_active"]),
        (Type.HISTOGRAMS, ["http.b.rq_time"]),
    ],
)
def test_by_type(kind: Type, expected: list[str]) -> None:
    assert names(SNAPSHOT.select(kind=kind)) == expected


def test_a_distribution_is_true_where_something_was_recorded() -> None:
    assert not EMPTY
    assert Distribution(0.0, (1, 0, 0))
