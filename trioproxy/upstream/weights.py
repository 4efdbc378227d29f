"""What a host weighs in the end: its own weight, its locality's share, and how warm it is."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

from trioproxy.upstream.policies import Host

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trioproxy.config.balancing import SlowStart as Config
    from trioproxy.upstream.member import Place

H = TypeVar("H", bound=Host)

RENEWALS = 20
"""How often weights change within a slow start's window."""


def weigh(chosen: Sequence[Host], present: Sequence[Host], overprovisioning: float) -> list[float]:
    """Return the weights of the `chosen` of the hosts that are `present` in their priority.

    Where a locality has a weight, the chosen of each locality share what that locality weighs:
    less than it is told to, as soon as the chosen ones times `overprovisioning` are not all there.
    """
    if not any(host.member.locality.weight for host in present):
        return [host.member.weight for host in chosen]
    there, left = _by_place(present), _by_place(chosen)
    factors: dict[Place, float] = {}
    for place, hosts in left.items():
        share = place.weight or _sum(there[place])
        carried = min(1.0, overprovisioning * len(hosts) / len(there[place]))
        factors[place] = share * carried / _sum(hosts)
    return [host.member.weight * factors[host.member.locality] for host in chosen]


def _by_place(hosts: Sequence[Host]) -> dict[Place, list[Host]]:
    groups: dict[Place, list[Host]] = {}
    for host in hosts:
        groups.setdefault(host.member.locality, []).append(host)
    return groups


def _sum(hosts: Sequence[Host]) -> int:
    return sum(host.member.weight for host in hosts)


class SlowStart(Generic[H]):
    """Knows since when hosts are fit, and how much of its weight a new one has by now.

    Those that begin together are equally cold, so they share as ever.
    """

    def __init__(self, config: Config) -> None:
        self._window = config.window
        self._exponent = 1 / config.aggression
        self._least = config.min_weight
        self._since: dict[H, float] = {}

    def note(self, fit: Iterable[H], now: float) -> None:
        """Note which hosts are fit at `now`, in seconds."""
        self._since = {host: self._since.get(host, now) for host in fit}

    def warmth(self, host: H, now: float) -> float:
        """Return what part of its weight a host has."""
        elapsed = now - self._since.get(host, -inf)
        if elapsed >= self._window:
            return 1.0
        warm: float = (elapsed / self._window) ** self._exponent
        return max(self._least, warm)

    def next_change(self, now: float) -> float:
        """Return when to weigh anew: infinite where all are warm."""
        newest = max(self._since.values(), default=-inf)
        return now + self._window / RENEWALS if now - newest < self._window else inf
