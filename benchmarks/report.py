"""Turns the figures into ratios to Envoy, a Markdown table and a JSON document."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.run import Outcome
    from benchmarks.works import Work

BASELINE = "envoy"
TITLES = {"envoy": "Envoy", "haproxy": "HAProxy", "trioproxy-plain": "trioproxy, plain"}


@attrs.frozen
class Ratio:
    """A system's figure divided by Envoy's, round by round."""

    median: float
    low: float
    high: float


@attrs.frozen
class Cell:
    """One system at one work: the median figure, and its ratio where Envoy ran too."""

    value: float
    ratio: Ratio | None


@attrs.frozen
class Row:
    """One work: its cells by system, and why others have none."""

    name: str
    title: str
    unit: str
    cells: Mapping[str, Cell]
    failures: Mapping[str, str]


def ratio_of(values: Sequence[float], baseline: Sequence[float]) -> Ratio | None:
    """The ratio of figures measured side by side; None where nothing can be divided."""
    pairs = [(value, base) for value, base in zip(values, baseline, strict=False) if base > 0]
    if not pairs:
        return None
    ratios = [value / base for value, base in pairs]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def row_of(work: Work, outcome: Outcome) -> Row:
    """The row of a work; a system that failed has no cell."""
    baseline = outcome.values.get(BASELINE, [])
    cells = {
        name: Cell(statistics.median(values), ratio_of(values, baseline))
        for name, values in outcome.values.items()
    }
    return Row(work.name, work.title, work.unit, cells, outcome.failures)


def markdown(rows: Sequence[Row], systems: Sequence[str]) -> str:
    """The table: the median figure, then the ratio to Envoy with the least and the greatest."""
    titles = [title_of(name) for name in systems]
    lines = [
        f"| work | unit | {' | '.join(titles)} |",
        f"|---|---|{'---:|' * len(titles)}",
    ]
    for row in rows:
        shown = " | ".join(show(row, name) for name in systems)
        lines.append(f"| {row.title} | {row.unit} | {shown} |")
    return "\n".join(lines) + "\n"


def show(row: Row, name: str) -> str:
    """A cell as text."""
    if name in row.failures:
        return "failed"
    cell = row.cells.get(name)
    if cell is None:
        return "-"
    if cell.ratio is None or name == BASELINE:
        return figure(cell.value)
    ratio = cell.ratio
    return f"{figure(cell.value)} · **{ratio.median:.2f}** ({ratio.low:.2f}..{ratio.high:.2f})"


def figure(value: float) -> str:
    """Three digits: more would promise what the machine does not hold."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def title_of(name: str) -> str:
    """A system's name as its makers write it."""
    return TITLES.get(name, name)


def document(
    rows: Sequence[Row], outcomes: Mapping[str, Outcome], facts: Mapping[str, object]
) -> dict[str, object]:
    """Everything measured, for the JSON file: facts of the run, then each work's rounds."""
    works = {
        row.name: {
            "title": row.title,
            "unit": row.unit,
            "rounds": outcomes[row.name].values,
            "ratios_to_envoy": {
                name: attrs.asdict(cell.ratio) for name, cell in row.cells.items() if cell.ratio
            },
            "failures": dict(row.failures),
        }
        for row in rows
    }
    return {**facts, "works": works}
