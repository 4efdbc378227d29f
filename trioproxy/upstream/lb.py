"""Picks the host of a request: plain functions that look, count and never wait.

A pick costs the same however many hosts there are. Only where it falls on a host that will not do,
unhealthy or tried before, another is drawn by weight: that takes a look at each, and spreads the
missing host's share over all of them instead of on its neighbour.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Sequence
from heapq import heapify, heapreplace
from itertools import accumulate
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from random import Random


class Host(Protocol):
    """A host, as far as balancing looks at it; all but `weight` may change at any time."""

    @property
    def weight(self) -> int: ...
    @property
    def active(self) -> int:
        """Requests in flight."""
        ...

    @property
    def healthy(self) -> bool: ...


H = TypeVar("H", bound=Host)
Next = Callable[[], H]


class Policy(Protocol):
    """Returns what names one host after another, whatever their health."""

    def __call__(self, hosts: Sequence[H], rng: Random) -> Next[H]: ...


class Balancer(Generic[H]):
    """Picks from `hosts` by `policy`; where hosts come or go, make another balancer."""

    def __init__(self, policy: str, hosts: Sequence[H], rng: Random) -> None:
        """Raises KeyError for an unknown policy."""
        self._hosts = hosts
        self._rng = rng
        self._next: Next[H] | None = POLICIES[policy](hosts, rng) if hosts else None
        self._substitute = least_request if policy == "least_request" else random

    def pick(self, tried: Collection[H] = ()) -> H | None:
        """Return a healthy host, one of `tried` only for want of others; None if all are ill."""
        if self._next is None:
            return None
        host = self._next()
        if host.healthy and host not in tried:
            return host
        healthy = [host for host in self._hosts if host.healthy]
        hosts = [host for host in healthy if host not in tried] or healthy
        return self._substitute(hosts, self._rng)() if hosts else None


def round_robin(hosts: Sequence[H], rng: Random) -> Next[H]:
    """Each host in turn, as often as its weight; workers begin at different hosts."""
    return _in_turn(hosts, rng) if _equal(hosts) else _by_deadline(hosts, rng)


def _in_turn(hosts: Sequence[H], rng: Random) -> Next[H]:
    last = len(hosts) - 1
    index = rng.randrange(len(hosts))

    def turn() -> H:
        nonlocal index
        index = index + 1 if index < last else 0
        return hosts[index]

    return turn


def _by_deadline(hosts: Sequence[H], rng: Random) -> Next[H]:
    """Earliest deadline first: a host of weight w is due every 1/w, from a point of its own."""
    gaps = [1 / host.weight for host in hosts]
    due = [(rng.random() * gap, index) for index, gap in enumerate(gaps)]
    heapify(due)

    def earliest() -> H:
        deadline, index = due[0]
        heapreplace(due, (deadline + gaps[index], index))
        return hosts[index]

    return earliest


def random(hosts: Sequence[H], rng: Random) -> Next[H]:
    """Any host, by weight."""
    index = _by_weight(hosts, rng)
    return lambda: hosts[index()]


def least_request(hosts: Sequence[H], rng: Random) -> Next[H]:
    """The less busy of two hosts for its weight: one drawn by weight, and any other."""
    if len(hosts) == 1:
        return lambda: hosts[0]
    count, draw, index = len(hosts), rng.random, _by_weight(hosts, rng)

    def less_busy() -> H:
        one = index()
        other = (one + 1 + int(draw() * (count - 1))) % count
        first, second = hosts[one], hosts[other]
        return second if second.active * first.weight < first.active * second.weight else first

    return less_busy


def _by_weight(hosts: Sequence[Host], rng: Random) -> Callable[[], int]:
    """Return what draws an index, by the host's weight."""
    draw, count = rng.random, len(hosts)
    if _equal(hosts):
        return lambda: int(draw() * count)
    sums = list(accumulate(host.weight for host in hosts))
    total = sums[-1]
    return lambda: bisect(sums, draw() * total)


def _equal(hosts: Sequence[Host]) -> bool:
    return len({host.weight for host in hosts}) == 1


POLICIES: dict[str, Policy] = {
    "round_robin": round_robin,
    "least_request": least_request,
    "random": random,
}
