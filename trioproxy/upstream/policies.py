"""The policies that look at no key: each returns what names one host after another.

A pick costs the same however many hosts there are.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from random import Random

    from trioproxy.upstream.member import Member


class Host(Protocol):
    """A host, as far as balancing looks at it: `active` may change at any time.

    Where another member takes its place, the balancer is told.
    """

    @property
    def member(self) -> Member: ...
    @property
    def active(self) -> int:
        """Requests in flight."""
        ...


H = TypeVar("H", bound=Host)
Next = Callable[[], H]


class Policy(Protocol):
    """Returns what names one of the hosts after another, by their weights."""

    def __call__(self, hosts: Sequence[H], weights: Sequence[float], rng: Random) -> Next[H]: ...


def round_robin(hosts: Sequence[H], weights: Sequence[float], rng: Random) -> Next[H]:
    """Each host in turn, as often as its weight; workers begin at different hosts."""
    return _in_turn(hosts, rng) if _equal(weights) else _by_deadline(hosts, weights, rng)


def _in_turn(hosts: Sequence[H], rng: Random) -> Next[H]:
    last = len(hosts) - 1
    index = rng.randrange(len(hosts))

    def turn() -> H:
        nonlocal index
        index = index + 1 if index < last else 0
        return hosts[index]

    return turn


def _by_deadline(hosts: Sequence[H], weights: Sequence[float], rng: Random) -> Next[H]:
    """Earliest deadline first: a host of weight w is due every 1/w, from a point of its own."""
    gaps = [1 / weight for weight in weights]
    due = [(rng.random() * gap, index) for index, gap in enumerate(gaps)]
    heapify(due)

    def earliest() -> H:
        deadline, index = due[0]
        heapreplace(due, (deadline + gaps[index], index))
        return hosts[index]

    return earliest


def random(hosts: Sequence[H], weights: Sequence[float], rng: Random) -> Next[H]:
    """Any host, by weight."""
    index = _by_weight(weights, rng)
    return lambda: hosts[index()]


def least_request(hosts: Sequence[H], weights: Sequence[float], rng: Random) -> Next[H]:
    """The less busy of two hosts for its weight: one drawn by weight, and any other."""
    if len(hosts) == 1:
        return lambda: hosts[0]
    count, draw, index = len(hosts), rng.random, _by_weight(weights, rng)

    def less_busy() -> H:
        one = index()
        other = (one + 1 + int(draw() * (count - 1))) % count
        first, second = hosts[one], hosts[other]
        return second if second.active * weights[one] < first.active * weights[other] else first

    return less_busy


def _by_weight(weights: Sequence[float], rng: Random) -> Callable[[], int]:
    """Return what draws an index, by its weight."""
    draw, count = rng.random, len(weights)
    if _equal(weights):
        return lambda: int(draw() * count)
    sums = list(accumulate(weights))
    total, last = sums[-1], count - 1
    return lambda: bisect(sums, draw() * total, 0, last)  # a product may round up to the total


def _equal(weights: Sequence[float]) -> bool:
    return len(set(weights)) == 1


POLICIES: dict[str, Policy] = {
    "round_robin": round_robin,
    "least_request": least_request,
    "random": random,
}
