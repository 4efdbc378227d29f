"""Draws drains against their policies, as an SVG that reads in light and in dark."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import attrs

from benchmarks.leaving.ramp import SHARE, shares
from benchmarks.plot import text
from trioproxy.drain.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.leaving.ramp import Ramp

WIDTH, LEFT, RIGHT, HEIGHT, TOP = 760, 52, 16, 150, 84
APART = HEIGHT + 64
STYLE = """
.card { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif }
.quiet { fill: #59636e } .line { stroke: #d1d9e0 } path { fill: none }
.policy { stroke: #8f9aa8; stroke-width: 6; opacity: .45 }
.told { stroke: #3f86d8; stroke-width: 2 } .closed { stroke: #e0772f; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
.card { fill: #0d1117 } text { fill: #f0f6fc } .quiet { fill: #9198a1 } .line { stroke: #3d444d }
}
""".replace("\n", " ")
LEGEND = {
    "told": "told to leave (connection: close)",
    "closed": "idle, closed",
    "policy": "the policy",
}
DRAWN = 100

Points = list[tuple[float, float]]


@attrs.frozen
class Panel:
    """One diagram: shares of the drain time across, shares of all clients upwards."""

    top: float

    def place(self, moment: float, share: float) -> str:
        """Where a point is."""
        x = LEFT + (WIDTH - LEFT - RIGHT) * moment / SHARE
        return f"{x:.1f} {self.top + HEIGHT * (1 - share):.1f}"

    def scale(self, title: str) -> list[str]:
        """Title, lines and figures."""
        parts = [text(16, self.top - 14, title)]
        for percent in (0, 50, 100):
            y = self.top + HEIGHT * (1 - percent / 100)
            parts.append(f'<path class="line" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
            parts.append(text(LEFT - 6, y + 4, f"{percent} %", "quiet", "end"))
        for percent in range(0, 51, 10):
            x = float(self.place(percent / 100, 0).split()[0])
            parts.append(text(x, self.top + HEIGHT + 16, f"{percent} %", "quiet", "middle"))
        return parts

    def curve(self, kind: str, points: Points) -> str:
        """Points joined: horizontally until the next one, as steps are."""
        path = [self.place(0, 0)]
        share = 0.0
        for moment, reached in points:
            path += [self.place(moment, share), self.place(moment, reached)]
            share = reached
        path.append(self.place(SHARE, share))
        return f'<path class="{kind}" d="M{"L".join(path)}"/>'


def policy(strategy: str) -> dict[str, Points]:
    """What the default policy says, for a drain time of 1."""
    drawn = [0.0 if strategy == "immediate" else rank / DRAWN for rank in range(DRAWN)]
    ladders = [Policy().ladder(0.0, drain=1.0, life=inf, u=u) for u in drawn]
    return {
        "told": shares(ladder.notice for ladder in ladders),
        "closed": shares(ladder.idle for ladder in ladders),
    }


def svg(ramps: Mapping[str, Ramp]) -> str:
    """A panel for each strategy."""
    parts = legend()
    for index, (strategy, ramp) in enumerate(ramps.items()):
        panel = Panel(TOP + APART * index)
        parts += panel.scale(f"{strategy}, {len(ramp.told)} clients of either kind")
        parts += [panel.curve("policy", points) for points in policy(strategy).values()]
        parts += [panel.curve(kind, shares(getattr(ramp, kind))) for kind in ("told", "closed")]
    height = TOP + APART * len(ramps) - 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">\n'
        f"<title>Drains against their policy</title>\n<style>{STYLE}</style>\n"
        f'<rect class="card" width="{WIDTH}" height="{height}" rx="6"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def legend() -> list[str]:
    """What the curves mean."""
    parts = [
        text(16, 24, "How many are told to leave, and closed, by which part of the drain time")
    ]
    x = LEFT
    for kind, words in LEGEND.items():
        parts.append(f'<path class="{kind}" d="M{x} 40h18"/>')
        parts.append(text(x + 24, 44, words, "quiet"))
        x += 60 + 7 * len(words)
    return parts
