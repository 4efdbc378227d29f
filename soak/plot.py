"""Draws a run as an SVG that reads in light and in dark: the whole of it, and all restarts in one.

Latencies stand on a logarithmic scale, as median, 99th percentile and greatest of each bin; what
was lost stands above as marks.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import attrs

from benchmarks.plot import text
from soak.ledger import ASKING, Phase
from soak.report import percentile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from soak.ledger import Ledger

WIDTH, LEFT, RIGHT, HEIGHT, TOP = 760, 52, 16, 190, 84
APART = HEIGHT + 64
LEAST, GREATEST = 1e-4, 10.0  # seconds
BINS = 280
BEFORE, AFTER = 1.0, 1.0  # seconds shown around a restart
SHARES = {"median": 0.5, "99 %": 0.99, "greatest": 1.0}
STYLE = """
.card { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif }
.quiet { fill: #59636e } .line { stroke: #d1d9e0; fill: none } .curve { fill: none }
.starting { fill: #e0772f; opacity: .35 } .draining { fill: #3f86d8; opacity: .12 }
.lost { fill: #d1242f }
@media (prefers-color-scheme: dark) {
.card { fill: #0d1117 } text { fill: #f0f6fc } .quiet { fill: #9198a1 } .line { stroke: #3d444d }
}
""".replace("\n", " ")
COLOURS = ("#3aa169", "#3f86d8", "#8f9aa8")

Points = list[tuple[float, float]]


@attrs.frozen
class Panel:
    """One diagram: seconds across, latency upwards."""

    top: float
    begin: float
    end: float

    def across(self, seconds: float) -> float:
        """The horizontal place of a moment."""
        share = (seconds - self.begin) / (self.end - self.begin)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, share)), 1)

    def up(self, seconds: float) -> float:
        """The vertical place of a latency; one past the scale stands at its end."""
        share = math.log(min(GREATEST, max(LEAST, seconds)) / LEAST) / math.log(GREATEST / LEAST)
        return round(self.top + HEIGHT * (1 - share), 1)

    def scale(self, title: str) -> list[str]:
        """Title, lines and figures."""
        parts = [text(16, self.top - 14, title)]
        for power in range(-4, 2):
            y = self.up(10.0**power)
            parts.append(f'<path class="line" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
            parts.append(text(LEFT - 6, y + 4, duration(10.0**power), "quiet", "end"))
        for mark in round_moments(self.begin, self.end):
            x = self.across(mark)
            parts.append(text(x, self.top + HEIGHT + 16, f"{mark:g} s", "quiet", "middle"))
        return parts

    def band(self, kind: str, begin: float, end: float) -> str:
        """A stretch of time."""
        x = self.across(begin)
        width = max(1.0, self.across(end) - x)
        return (
            f'<rect class="{kind}" x="{x}" y="{self.top}" width="{width:.1f}" height="{HEIGHT}"/>'
        )

    def curves(self, points: Points) -> list[str]:
        """What the points' latencies are like in each bin."""
        bins = defaultdict(list)
        for at, seconds in points:
            bins[int((at - self.begin) / (self.end - self.begin) * BINS)].append(seconds)
        ordered = {index: sorted(bins[index]) for index in sorted(bins)}
        parts = []
        for colour, share in zip(COLOURS, SHARES.values(), strict=True):
            places = (
                f"{self.across(self.begin + (index + 0.5) * (self.end - self.begin) / BINS)} "
                f"{self.up(percentile(values, share))}"
                for index, values in ordered.items()
            )
            parts.append(f'<path class="curve" stroke="{colour}" d="M{"L".join(places)}"/>')
        return parts if points else []

    def lost(self, moments: Iterable[float]) -> list[str]:
        """A mark for each loss."""
        return [
            f'<circle class="lost" cx="{self.across(at)}" cy="{self.top + 5}" r="3"/>'
            for at in moments
        ]


def svg(ledger: Ledger, name: str) -> str:
    """The whole run above, its restarts laid over each other below."""
    points = [
        pair for kind in ASKING for phase in Phase for pair in ledger.latencies[kind, phase].pairs()
    ]
    lost = [loss.at for loss in ledger.losses]
    parts = [*legend(f"{name}: latency of HTTP requests under {len(ledger.restarts)} hot restarts")]
    parts += whole(ledger, points, lost)
    height = TOP + APART
    if ledger.restarts:
        parts += overlaid(ledger, points, lost)
        height += APART
    height -= 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">\n'
        f"<title>Hot restarts under load</title>\n<style>{STYLE}</style>\n"
        f'<rect class="card" width="{WIDTH}" height="{height}" rx="6"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def legend(title: str) -> list[str]:
    """What the colours mean."""
    parts = [text(16, 24, title)]
    for index, (words, colour) in enumerate(zip(SHARES, COLOURS, strict=True)):
        x = LEFT + 90 * index
        parts.append(f'<path stroke="{colour}" stroke-width="2" d="M{x} 40h14"/>')
        parts.append(text(x + 19, 44, words, "quiet"))
    for index, (words, kind) in enumerate(
        (("command to serving", "starting"), ("old one drains", "draining"))
    ):
        x = LEFT + 290 + 155 * index
        parts.append(f'<rect class="{kind}" x="{x}" y="34" width="14" height="11"/>')
        parts.append(text(x + 19, 44, words, "quiet"))
    parts.append(f'<circle class="lost" cx="{LEFT + 602}" cy="40" r="3"/>')
    return [*parts, text(LEFT + 612, 44, "lost", "quiet")]


def whole(ledger: Ledger, points: Points, lost: Sequence[float]) -> list[str]:
    """The run from its begin to its end."""
    panel = Panel(TOP, 0.0, max((at for at, _ in points), default=1.0) + 1e-3)
    bands = []
    for restart in ledger.restarts:
        bands.append(panel.band("draining", restart.serving, restart.gone))
        bands.append(panel.band("starting", restart.commanded, restart.serving))
    return [*panel.scale("The run"), *bands, *panel.curves(points), *panel.lost(lost)]


def overlaid(ledger: Ledger, points: Points, lost: Sequence[float]) -> list[str]:
    """All restarts, each with a second before its command and a second after its end."""
    starting = max(restart.serving - restart.commanded for restart in ledger.restarts)
    draining = max(restart.gone - restart.serving for restart in ledger.restarts)
    panel = Panel(TOP + APART, -starting - BEFORE, draining + AFTER)
    near: Points = []
    moments: list[float] = []
    for restart in ledger.restarts:
        begin, end = panel.begin + restart.serving, panel.end + restart.serving
        near += [(at - restart.serving, seconds) for at, seconds in points if begin <= at < end]
        moments += [at - restart.serving for at in lost if begin <= at < end]
    return [
        *panel.scale("All restarts, laid over each other where the new generation begins to serve"),
        panel.band("draining", 0.0, draining),
        panel.band("starting", -starting, 0.0),
        *panel.curves(near),
        *panel.lost(moments),
    ]


def duration(seconds: float) -> str:
    """A power of ten of seconds."""
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def round_moments(begin: float, end: float) -> list[float]:
    """About ten round moments from `begin` to `end`."""
    rough = (end - begin) / 10
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * index for index in range(math.ceil(begin / step), math.floor(end / step) + 1)]
