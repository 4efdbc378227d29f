"""Hosts without sockets, and balancers over them."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import attrs

from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region
from trioproxy.stats.upstream import LbStats
from trioproxy.upstream.lb import ANY, Balancer, Wish
from trioproxy.upstream.member import DEGRADED_EDS_HEALTH, FAILED_ACTIVE_HC, Member, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NOBODY = Endpoint(Address.parse("127.0.0.1:1"))
ILL = (FAILED_ACTIVE_HC,)
DEGRADED = (DEGRADED_EDS_HEALTH,)


@attrs.define(eq=False)
class Backend:
    member: Member
    active: int = 0

    @property
    def name(self) -> str:
        return self.member.key

    def fare(self, *flags: str) -> None:
        """Have these health flags."""
        self.member = attrs.evolve(self.member, flags=flags)


def backends(*weights: int, **member: Any) -> list[Backend]:
    """Hosts a, b, c ... of these weights."""
    return [
        Backend(Member(name, weight, **member))
        for name, weight in zip("abcdefghij", weights, strict=False)
    ]


def numbered(count: int, **member: Any) -> list[Backend]:
    """Hosts of many addresses."""
    return [Backend(Member(f"10.0.{i // 250}.{i % 250}:80", **member)) for i in range(count)]


def zone(name: str, weight: int = 0) -> Place:
    """A locality."""
    return Place(zone=name, weight=weight)


class Scene:
    """A balancer under test, its clock and its statistics."""

    def __init__(self, balancer: Balancer[Backend], reader: Reader) -> None:
        self.lb = balancer
        self.now = 0.0
        self._reader = reader

    def update(self, hosts: Sequence[Backend], now: float = 0.0) -> None:
        """Tell the balancer of its hosts."""
        self.now = now
        self.lb.update(hosts, now)

    def finish(self) -> int:
        """Have it do all its work; returns how many steps that were."""
        steps = 0
        while self.lb.when < 1e9:
            self.now = self.lb.when
            self.lb.work(self.now)
            steps += 1
        return steps

    def names(self, count: int, wish: Wish = ANY) -> Iterator[str]:
        """Pick so many times."""
        for _ in range(count):
            host = self.lb.pick((), wish)
            assert host is not None
            yield host.name

    def counts(self, count: int = 10_000, wish: Wish = ANY) -> Counter[str]:
        """Return how often each host was picked."""
        return Counter(self.names(count, wish))

    def owners(self, keys: Sequence[int]) -> list[str]:
        """Return whom each key belongs to."""
        return [next(self.names(1, Wish(key))) for key in keys]

    def statistic(self, name: str) -> int:
        """Return a counter or a gauge of the cluster."""
        snapshot = self._reader.snapshot()
        return {**snapshot.counters, **snapshot.gauges}[f"cluster.app.{name}"]


@contextmanager
def scenes() -> Iterator[Callable[..., Scene]]:
    """Yield what makes a scene of a policy, hosts, a seed and other keys of the cluster."""
    with Region.create() as region, region.claim(0, 0) as writer, Reader(region, 0) as reader:

        def scene(
            lb_policy: str, hosts: Sequence[Backend] = (), *, seed: int = 1, **keys: Any
        ) -> Scene:
            config = Cluster(name="app", endpoints=(NOBODY,), lb_policy=lb_policy, **keys)
            balancer: Balancer[Backend] = Balancer(config, LbStats(writer, "app"), Random(seed))
            made = Scene(balancer, reader)
            made.update(hosts)
            balancer.finish()
            return made

        yield scene


def keys(count: int) -> list[int]:
    """Return keys as requests have them."""
    rng = Random(5)
    return [rng.getrandbits(56) for _ in range(count)]


def near(count: float, expected: float, total: float) -> bool:
    """Tell whether a count of chance is within five standard deviations of what is expected."""
    return abs(count - expected) <= 5 * (expected * (1 - expected / total)) ** 0.5
