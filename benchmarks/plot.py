"""Draws the ratios to Envoy as an SVG of bars that reads in light and in dark."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from benchmarks.report import BASELINE, figure, title_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.report import Cell, Row

WIDTH, LEFT, RIGHT = 800, 250, 170
TOP, BAR, GAP, BOTTOM = 64, 15, 16, 34
COLOURS = ("#8f9aa8", "#3f86d8", "#3aa169", "#e0772f", "#b8862b")
STYLE = """
.card { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif }
text { stroke: #ffffff; stroke-width: 3px; paint-order: stroke }
.quiet { fill: #59636e } .line { stroke: #d1d9e0 } .one { stroke: #59636e; stroke-dasharray: 4 3 }
.range { stroke: #1f2328 }
@media (prefers-color-scheme: dark) {
.card { fill: #0d1117 } text { fill: #f0f6fc; stroke: #0d1117 }
.quiet { fill: #9198a1 } .line { stroke: #3d444d } .one { stroke: #9198a1 }
.range { stroke: #f0f6fc }
}
""".replace("\n", " ")


def svg(rows: Sequence[Row], systems: Sequence[str]) -> str:
    """Bars of the median ratio to Envoy for each work, with the range over the rounds."""
    rows = [row for row in rows if any(cell.ratio for cell in row.cells.values())]
    end = scale_end(rows)
    group = BAR * len(systems) + GAP
    height = TOP + group * len(rows) + BOTTOM
    parts = [*frame(systems, end, height)]
    for index, row in enumerate(rows):
        parts += bars(row, systems, TOP + group * index, end)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">\n'
        f"<title>Cost per operation, Envoy = 1</title>\n<style>{STYLE}</style>\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def scale_end(rows: Sequence[Row]) -> float:
    """Where the scale ends: just past the greatest ratio, in halves, between 1.5 and 3."""
    ratios = [cell.ratio.high for row in rows for cell in row.cells.values() if cell.ratio]
    return min(3.0, max(1.5, math.ceil(max(ratios, default=1.0) * 2) / 2))


def across(ratio: float, end: float) -> float:
    """The horizontal place of a ratio; one past the scale stands at its end."""
    return round(LEFT + (WIDTH - LEFT - RIGHT) * min(ratio, end) / end, 1)


def frame(systems: Sequence[str], end: float, height: int) -> list[str]:
    """Background, legend and scale."""
    parts = [f'<rect class="card" width="{WIDTH}" height="{height}" rx="6"/>']
    parts.append(text(16, 24, "Cost per operation, Envoy = 1 (less is better)"))
    for index, name in enumerate(systems):
        x = LEFT + 105 * index
        parts.append(f'<rect x="{x}" y="34" width="10" height="10" fill="{colour(index)}"/>')
        parts.append(text(x + 15, 43, title_of(name)))
    bottom = height - BOTTOM
    for mark in (half / 2 for half in range(int(end * 2) + 1)):
        x = across(mark, end)
        kind = "one" if mark == 1 else "line"
        parts.append(f'<path class="{kind}" d="M{x} {TOP - 8}V{bottom}"/>')
        parts.append(text(x, bottom + 16, f"{mark:g}", "quiet", "middle"))
    return parts


def bars(row: Row, systems: Sequence[str], top: int, end: float) -> list[str]:
    """One work: its title, and a bar for each system."""
    middle = top + BAR * len(systems) / 2
    parts = [text(16, middle, row.title), text(16, middle + 14, row.unit, "quiet")]
    for index, name in enumerate(systems):
        y = top + BAR * index
        if name in row.failures:
            parts.append(text(LEFT + 4, y + 11, "failed", "quiet"))
        elif name in row.cells:
            parts += bar(row.cells[name], name, y, colour(index), end)
    return parts


def bar(cell: Cell, name: str, y: int, fill: str, end: float) -> list[str]:
    """One bar with its range and figure; nothing where there is no ratio."""
    if cell.ratio is None:
        return []
    width = across(cell.ratio.median, end) - LEFT
    parts = [f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 3}" fill="{fill}"/>']
    told = figure(cell.value)
    if name != BASELINE:
        low, high = across(cell.ratio.low, end), across(cell.ratio.high, end)
        parts.append(f'<path class="range" d="M{low} {y + 6}H{high}"/>')
        told = f"{cell.ratio.median:.2f} ({told})"
    parts.append(text(across(cell.ratio.high, end) + 6, y + 10, told))
    return parts


def colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """A line of text."""
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'
