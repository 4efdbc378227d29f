"""Turns a ledger into tables for people and a document for programs."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

import attrs

from soak.ledger import Kind, Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soak.ledger import Ledger

SESSIONS = (Kind.TCP, Kind.WEBSOCKET)
GROUPS = {
    "new connection": (Kind.NEW,),
    "keep-alive": (Kind.BUSY, Kind.SLEEPY),
    "TCP session": (Kind.TCP,),
    "WebSocket": (Kind.WEBSOCKET,),
}


def kinds(ledger: Ledger) -> list[Kind]:
    """Who took part."""
    present = {kind for kind, _ in ledger.counts}
    return [kind for kind in Kind if kind in present]


def markdown(ledger: Ledger) -> str:
    """All tables."""
    parts = [outcomes(ledger), latencies(ledger)]
    if ledger.restarts:
        parts.append(restarts(ledger))
    parts += [f"FAILED: {failure}\n" for failure in ledger.failures]
    return "\n".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first hold figures. Aligned: it is read raw, too."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [cell.ljust(width) if not column else cell.rjust(width)
         for column, (cell, width) in enumerate(zip(row, widths, strict=True))]
        for row in (head, ruler, *rows)
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def outcomes(ledger: Ledger) -> str:
    """What became of whose requests."""
    columns = kinds(ledger)
    rows = [
        [outcome.value, *(str(ledger.counts[kind, outcome]) for kind in columns)]
        for outcome in Outcome
    ]
    rows.append(["survived a restart", *(survived(ledger, kind) for kind in columns)])
    return table(["", *columns], rows)


def survived(ledger: Ledger, kind: Kind) -> str:
    """How many sessions outlived their restart, of how many that stood."""
    pairs = [restart.sessions[kind] for restart in ledger.restarts if kind in restart.sessions]
    return f"{sum(alive for alive, _ in pairs)} of {sum(of for _, of in pairs)}" if pairs else "-"


def latencies(ledger: Ledger) -> str:
    """Milliseconds from asking to the whole answer, by phase; and the generator's own lateness."""
    rows = []
    for title, members in GROUPS.items():
        by_phase = {
            phase: [s for kind in members for s in ledger.latencies[kind, phase].seconds]
            for phase in Phase
        }
        if any(by_phase.values()):
            rows.append([title, *(spread(by_phase[phase]) for phase in Phase)])
    rows.append(["(load generator late)", *(spread(ledger.lags[phase]) for phase in Phase)])
    return table(["ms: p50 / p99 / max", *Phase], rows)


def restarts(ledger: Ledger) -> str:
    """How long restarts took."""
    serving = [restart.serving - restart.commanded for restart in ledger.restarts]
    gone = [restart.gone - restart.serving for restart in ledger.restarts]
    rows = [
        ["command to serving, ms", *(f"{value * 1000:.0f}" for value in ends(serving))],
        ["serving to old one gone, s", *(f"{value:.1f}" for value in ends(gone))],
    ]
    return table([f"{len(ledger.restarts)} restarts", "least", "median", "greatest"], rows)


def ends(values: Sequence[float]) -> tuple[float, float, float]:
    """The least, the median and the greatest."""
    return min(values), statistics.median(values), max(values)


def spread(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and greatest in milliseconds."""
    if not seconds:
        return "-"
    ordered = sorted(seconds)
    return " / ".join(f"{percentile(ordered, share) * 1000:.1f}" for share in (0.5, 0.99, 1))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that `share` of all values do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def document(ledger: Ledger, facts: dict[str, object]) -> dict[str, object]:
    """Everything for the JSON file."""
    return {
        **facts,
        "lost": ledger.lost,
        "outcomes": {
            kind: {outcome: ledger.counts[kind, outcome] for outcome in Outcome}
            for kind in kinds(ledger)
        },
        "latency_ms": {
            title: {
                phase: summary([s for kind in members for s in ledger.latencies[kind, phase].seconds])
                for phase in Phase
            }
            for title, members in GROUPS.items()
        },
        "generator_late_ms": {phase: summary(ledger.lags[phase]) for phase in Phase},
        "restarts": [attrs.asdict(restart) for restart in ledger.restarts],
        "failures": ledger.failures,
        "troubles": [attrs.asdict(trouble) for trouble in ledger.troubles],
    }


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Count, and median, 99th percentile and greatest in milliseconds."""
    if not seconds:
        return {"count": 0}
    ordered = sorted(seconds)
    named = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    figures = {name: round(percentile(ordered, at) * 1000, 3) for name, at in named.items()}
    return {"count": len(ordered), **figures}
