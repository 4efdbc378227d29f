"""A snapshot as Envoy's `/stats` writes it, as text and as JSON.

Envoy gives each quantile twice, for the last flush interval and over all. Here nothing is flushed
at intervals, so the first of the two is never a number.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trioproxy.stats.buckets import QUANTILES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioproxy.stats.snapshot import Distribution, Snapshot


def render_text(snapshot: Snapshot) -> str:
    """Return `name: value` lines in order, histograms last."""
    lines = [f"{name}: {value}\n" for name, value in _numbers(snapshot)]
    lines += [
        f"{name}: {_summary(distribution)}\n"
        for name, distribution in sorted(snapshot.histograms.items())
    ]
    return "".join(lines)


def render_json(snapshot: Snapshot) -> str:
    """Return one object with a list: a name and value each, then all histograms as one item."""
    stats: list[object] = [{"name": name, "value": value} for name, value in _numbers(snapshot)]
    if snapshot.histograms:
        stats.append({"histograms": _quantiles(snapshot.histograms)})
    return json.dumps({"stats": stats}, separators=(",", ":"))


def number(value: float) -> float:
    """Return `value` with at most four decimals, as an int where it is whole."""
    rounded = round(value, 4)
    return int(rounded) if rounded == int(rounded) else rounded


def _numbers(snapshot: Snapshot) -> list[tuple[str, int]]:
    return sorted([*snapshot.counters.items(), *snapshot.gauges.items()])


def _summary(distribution: Distribution) -> str:
    if not distribution:
        return "No recorded values"
    pairs = zip(QUANTILES, distribution.quantiles(), strict=True)
    return " ".join(f"P{number(100 * rank)}(nan,{number(value)})" for rank, value in pairs)


def _quantiles(histograms: Mapping[str, Distribution]) -> dict[str, object]:
    return {
        "supported_quantiles": [number(100 * rank) for rank in QUANTILES],
        "computed_quantiles": [
            {"name": name, "values": _values(distribution)}
            for name, distribution in sorted(histograms.items())
        ],
    }


def _values(distribution: Distribution) -> list[dict[str, float | None]]:
    if not distribution:
        return [{"cumulative": None, "interval": None} for _ in QUANTILES]
    return [{"cumulative": number(value), "interval": None} for value in distribution.quantiles()]
