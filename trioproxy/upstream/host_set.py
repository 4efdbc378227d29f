"""The hosts of a cluster or a subset: which part of the load each takes, and who is next."""

from __future__ import annotations

from bisect import bisect
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Generic, TypeVar

from trioproxy.upstream.hash_tables import HASH_BITS, Maglev, MakeTable, Ring
from trioproxy.upstream.lanes import HashLane, Lane, PolicyLane
from trioproxy.upstream.policies import Host, Next
from trioproxy.upstream.priority import Fitness, Level, Load, distribute
from trioproxy.upstream.weights import SlowStart, weigh

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from random import Random

    from trioproxy.config.cluster import Cluster as Config
    from trioproxy.stats.handles import Counter

H = TypeVar("H", bound=Host)

HASHING = frozenset({"ring_hash", "maglev"})
"""The policies under which a key decides."""

DRAWS = 1 << 16
"""Parts of the load that a key may fall to, by its lowest bits."""


class HostSet(Generic[H]):
    """Lanes, and how the load is divided between them.

    `plain` names the next host where there is one lane only, whose policy needs no key.
    """

    def __init__(
        self, config: Config, slow_start: SlowStart[H] | None, panics: Counter, rng: Random
    ) -> None:
        self.plain: Next[H] | None = None
        self._config = config
        self._slow_start = slow_start
        self._panics = panics
        self._rng = rng
        self._make: MakeTable[H] | None = table_maker(config)
        self._hash_lanes: dict[tuple[int, Fitness], HashLane[H]] = {}
        self._refuses = False  # the share of the load that nobody has is refused
        self._lanes: list[Lane[H]] = []
        self._loads: list[Load] = []
        self._sums: list[float] = []

    def update(self, hosts: Sequence[H], now: float) -> None:
        """Have these hosts from now on, as they fare at `now`, in seconds."""
        config = self._config
        priorities = sorted({host.member.priority for host in hosts})
        groups = [[host for host in hosts if host.member.priority == p] for p in priorities]
        loads = distribute(
            [_level(group) for group in groups],
            config.overprovisioning_factor,
            config.healthy_panic_threshold,
        )
        panicking = [load for load in loads if load.fitness is Fitness.ANY]
        self._refuses = bool(panicking) and config.fail_traffic_on_panic
        if self._refuses:
            loads = [load for load in loads if load not in panicking]
        self._hash_lanes = {k: lane for k, lane in self._hash_lanes.items() if k[0] in priorities}
        self._lanes = [
            self._lane(priorities[load.level], load.fitness, groups[load.level], now)
            for load in loads
        ]
        self._loads = loads
        self._sums = list(accumulate([load.share for load in loads]))
        self.plain = self._find_plain()

    def _find_plain(self) -> Next[H] | None:
        if len(self._lanes) != 1 or self._refuses or self._loads[0].fitness is Fitness.ANY:
            return None
        lane = self._lanes[0]
        return lane.next if isinstance(lane, PolicyLane) else None

    def _lane(self, priority: int, fitness: Fitness, group: Sequence[H], now: float) -> Lane[H]:
        hosts = [host for host in group if _fits(host, fitness)]
        weights = weigh(hosts, group, self._config.overprovisioning_factor)
        if self._make is not None:
            lane = self._hash_lanes.setdefault((priority, fitness), HashLane(self._make))
            lane.update(hosts, weights)
            return lane
        if self._slow_start is not None:
            warmth = self._slow_start.warmth
            weights = [w * warmth(host, now) for w, host in zip(weights, hosts, strict=True)]
        return PolicyLane(self._config.lb_policy, hosts, weights, self._rng)

    def work(self) -> bool:
        """Do a step of what was put off; returns whether there is more."""
        return any(map(HashLane.work, self._hash_lanes.values()))

    def pick(self, tried: Collection[H], key: int | None) -> H | None:
        """Pick a host that is fit, one of `tried` only for want of others; None if there is none.

        Equal keys go to the same host; without a key it is left to chance.
        """
        if key is None:
            key = self._rng.getrandbits(HASH_BITS)
        index = self._draw(key)
        if index == len(self._lanes):
            if self._refuses:
                self._panics.add()
            return None
        lane = self._lanes[index]
        if self._loads[index].fitness is Fitness.ANY:
            self._panics.add()
            healthy = _healthy(lane.hosts, tried) if tried else []
            if healthy:  # a further try shall not be the victim of the panic again
                return healthy[key % len(healthy)]
        host = lane.pick(key, tried)
        return self._other(key, tried) or host if host in tried else host

    def _draw(self, key: int) -> int:
        """Return the number of a lane, or the one behind the last where there is none for it."""
        choices = len(self._lanes) + self._refuses
        if choices < 2:
            return 0
        draw = (key % DRAWS) / DRAWS
        whole = 1.0 if self._refuses else self._sums[-1]
        return bisect(self._sums, draw * whole, 0, choices - 1)

    def _other(self, key: int, tried: Collection[H]) -> H | None:
        """Pick where a lane is left in which not all were tried."""
        for lane in self._lanes:
            if not all(host in tried for host in lane.hosts):
                return lane.pick(key, tried)
        return None


def table_maker(config: Config) -> MakeTable[H] | None:
    """Return what makes the tables of a policy that hashes; None for any other."""
    if config.lb_policy == "ring_hash":
        ring = config.ring_hash
        return partial(Ring, points_per_host=ring.points_per_host, maximum=ring.maximum_ring_size)
    if config.lb_policy == "maglev":
        return partial(Maglev, size=config.maglev.table_size)
    return None


def _healthy(hosts: Sequence[H], tried: Collection[H]) -> list[H]:
    return [host for host in hosts if host.member.healthy and host not in tried]


def _level(group: Sequence[Host]) -> Level:
    healthy = sum(_fits(host, Fitness.HEALTHY) for host in group)
    degraded = sum(_fits(host, Fitness.DEGRADED) for host in group)
    return Level(len(group), healthy, degraded)


def _fits(host: Host, fitness: Fitness) -> bool:
    if fitness is Fitness.ANY:
        return True
    member = host.member
    return member.healthy and member.degraded == (fitness is Fitness.DEGRADED)
