"""Turns a ledger into tables for people and a document for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from soak.ledger import ASKING, LOST, Kind, Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from soak.ledger import Ledger, Restart

GROUPS = {
    "new connection": (Kind.NEW,),
    "keep-alive": (Kind.BUSY, Kind.SLEEPY, Kind.IDLE),
    "HTTP/2": (Kind.HTTP2,),
    "TCP session": (Kind.TCP,),
    "WebSocket": (Kind.WEBSOCKET,),
}
RESTART_HEAD = (
    "workers",
    "command to serving, ms",
    "start to ready, ms",
    "serving to old one gone, s",
    "slowest answer before, ms",
    "slowest in it, ms",
    "lost",
)
SHOWN_LOSSES = 10
BEFORE = 1.0  # seconds, for comparison
SETTLING = 1.0  # seconds after a new generation serves in which its start may still be felt


def markdown(ledger: Ledger) -> str:
    """All tables, and what was lost in detail."""
    parts = [outcomes(ledger), latencies(ledger)]
    if ledger.restarts:
        parts.append(restarts(ledger))
    parts += [f"FAILED: {failure}\n" for failure in ledger.failures]
    if ledger.losses:
        parts.append(losses(ledger))
    return "\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first hold figures. Aligned: it is read raw, too."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, ruler)
    return "".join(f"| {' | '.join(aligned(line, widths))} |\n" for line in lines)


def aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The first cell to the left, the others to the right."""
    first, *others = zip(line, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def outcomes(ledger: Ledger) -> str:
    """What became of whose requests and sessions; those of a session are messages."""
    rows = [
        [
            kind.value,
            *(str(ledger.counts[kind, outcome]) for outcome in Outcome),
            survived(ledger, kind),
        ]
        for kind in kinds(ledger)
    ]
    return table(["", *Outcome, "survived a restart"], rows)


def kinds(ledger: Ledger) -> list[Kind]:
    """Who took part."""
    present = {kind for kind, _ in ledger.counts}
    return [kind for kind in Kind if kind in present]


def survived(ledger: Ledger, kind: Kind) -> str:
    """How many sessions outlived their restart, of how many that stood."""
    pairs = [restart.survived[kind] for restart in ledger.restarts if kind in restart.survived]
    return f"{sum(alive for alive, _ in pairs)} of {sum(of for _, of in pairs)}" if pairs else "-"


def latencies(ledger: Ledger) -> str:
    """Milliseconds from asking to the whole answer, by phase; and the generator's own lateness."""
    rows = []
    for title, members in GROUPS.items():
        spreads = [spread(seconds_of(ledger, members, phase)) for phase in Phase]
        if set(spreads) != {"-"}:
            rows.append([title, *spreads])
    rows.append(["(load generator late)", *(spread(ledger.lags[phase]) for phase in Phase)])
    return table(["ms: p50 / p99 / max", *Phase], rows)


def seconds_of(ledger: Ledger, members: Iterable[Kind], phase: Phase) -> list[float]:
    """All latencies of some kinds in a phase."""
    return [seconds for kind in members for seconds in ledger.latencies[kind, phase].seconds]


def restarts(ledger: Ledger) -> str:
    """How each restart went; between command and start its configuration is validated."""
    rows = [restart_row(ledger, restart) for restart in ledger.restarts]
    return table(RESTART_HEAD, rows)


def restart_row(ledger: Ledger, restart: Restart) -> list[str]:
    """One restart, and by what it was felt."""
    return [
        " -> ".join(map(str, restart.workers)),
        f"{(restart.serving - restart.commanded) * 1000:.0f}",
        "-" if restart.ready is None else f"{restart.ready * 1000:.0f}",
        f"{restart.gone - restart.serving:.2f}",
        f"{slowest(ledger, restart.commanded - BEFORE, restart.commanded) * 1000:.1f}",
        f"{slowest(ledger, restart.commanded, restart.serving + SETTLING) * 1000:.1f}",
        str(restart.lost),
    ]


def slowest(ledger: Ledger, begin: float, end: float) -> float:
    """The longest that anybody waited for an answer that came between two moments."""
    return max(
        (
            seconds
            for kind in ASKING
            for phase in Phase
            for at, seconds in ledger.latencies[kind, phase].pairs()
            if begin < at <= end
        ),
        default=0.0,
    )


def losses(ledger: Ledger) -> str:
    """The first that were lost, one a line."""
    lines = [
        f"- at {loss.at:.2f} s{since_command(ledger, loss.at)}, {loss.phase}: "
        f"{loss.kind}, {loss.outcome}: {loss.detail}\n"
        for loss in ledger.losses[:SHOWN_LOSSES]
    ]
    count = sum(ledger.counts[kind, outcome] for kind in Kind for outcome in LOST)
    if count > SHOWN_LOSSES:
        lines.append(f"- ... and {count - SHOWN_LOSSES} more\n")
    return "".join(lines)


def since_command(ledger: Ledger, at: float) -> str:
    """How long after which restart's command that was; nothing before the first."""
    commands = [restart.commanded for restart in ledger.restarts if restart.commanded <= at]
    return f" ({at - commands[-1]:+.2f} s in restart {len(commands)})" if commands else ""


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
            title: {phase: summary(seconds_of(ledger, members, phase)) for phase in Phase}
            for title, members in GROUPS.items()
        },
        "generator_late_ms": {phase: summary(ledger.lags[phase]) for phase in Phase},
        "restarts": [attrs.asdict(restart) for restart in ledger.restarts],
        "failures": ledger.failures,
        "losses": [attrs.asdict(loss) for loss in ledger.losses],
    }


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Count, and median, 99th percentile and greatest in milliseconds."""
    if not seconds:
        return {"count": 0}
    ordered = sorted(seconds)
    named = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    figures = {name: round(percentile(ordered, at) * 1000, 3) for name, at in named.items()}
    return {"count": len(ordered), **figures}
