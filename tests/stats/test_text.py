"""The shapes were compared with those of Envoy 1.40."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.snapshot import Snapshot
from trioproxy.stats.text import number, render_json, render_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.stats.snapshot import Distribution


@pytest.fixture
def snapshot(distribution: Callable[..., Distribution]) -> Snapshot:
    return Snapshot(
        counters={"server.b": 3, "listener.x": 0},
        gauges={"server.a": -1},
        histograms={
            "http.a.rq_time": distribution(0, 1.05, 1.05),
            "http.a.length_ms": distribution(),
        },
        hidden={"cluster.a.host.1.cx_total": 1},
    )


def test_text(snapshot: Snapshot) -> None:
    """A85."""
    assert render_text(snapshot) == (
        "listener.x: 0\n"
        "server.a: -1\n"
        "server.b: 3\n"
        "http.a.length_ms: No recorded values\n"
        "http.a.rq_time: P0(nan,0) P25(nan,0) P50(nan,1.0333) P75(nan,1.0667) P90(nan,1.0667) "
        "P95(nan,1.0667) P99(nan,1.0667) P99.5(nan,1.0667) P99.9(nan,1.0667) P100(nan,1.0667)\n"
    )


def test_json(snapshot: Snapshot) -> None:
    """A85."""
    *numbers, last = json.loads(render_json(snapshot))["stats"]
    assert numbers == [
        {"name": "listener.x", "value": 0},
        {"name": "server.a", "value": -1},
        {"name": "server.b", "value": 3},
    ]
    quantiles = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100]
    values = [0, 0, 1.0333, *[1.0667] * 7]
    assert last == {
        "histograms": {
            "supported_quantiles": quantiles,
            "computed_quantiles": [
                {
                    "name": "http.a.length_ms",
                    "values": [{"cumulative": None, "interval": None}] * 10,
                },
                {
                    "name": "http.a.rq_time",
                    "values": [{"cumulative": value, "interval": None} for value in values],
                },
            ],
        }
    }


def test_without_histograms_json_has_no_such_item() -> None:
    assert render_json(Snapshot(counters={"a": 1})) == '{"stats":[{"name":"a","value":1}]}'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (2**63 + 1, "9223372036854775809"),
        (1 / 3, "0.3333"),
        (99.5, "99.5"),
        (1e8, "100000000"),
    ],
)
def test_numbers_are_shown_as_short_as_they_are(value: float, shown: str) -> None:
    assert str(number(value)) == shown
