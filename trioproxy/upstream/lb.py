"""Picks the host of a request: plain functions that look, count and never wait.

A pick costs the same however many hosts there are, and whatever their health: all that is looked
at of them is looked at when it changes (`update`), and what takes long of that is done a little
at a time (`work`).

    lb.py           Balancer: the whole cluster, or the subset that a route asks for
    subsets.py      Subsets: the hosts divided by their metadata
    host_set.py     HostSet: lanes, and the share of the load that each takes
    priority.py     how those shares come about: priorities, degraded hosts, panic
    weights.py      what a host weighs: locality weights, slow start
    lanes.py        Lane: the hosts that share one part of the load
    policies.py     round_robin, random, least_request
    hash_tables.py  ring_hash, maglev
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

from trioproxy.upstream.host_set import HASHING, HostSet
from trioproxy.upstream.policies import Host
from trioproxy.upstream.subsets import Criteria, Subsets
from trioproxy.upstream.weights import SlowStart

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from random import Random

    from trioproxy.config.cluster import Cluster as Config
    from trioproxy.stats.upstream import LbStats
    from trioproxy.upstream.policies import Next

H = TypeVar("H", bound=Host)

PAUSE = 0.01  # seconds between two steps of work, in which requests are served


class Wish:
    """What a request asks of a pick: the host that `key` belongs to, or one of `subset`."""

    __slots__ = ("key", "subset")

    def __init__(self, key: int | None = None, subset: Criteria = frozenset()) -> None:
        self.key = key
        self.subset = subset


ANY = Wish()


class Balancer(Generic[H]):
    """Picks from a cluster's hosts; `update` where they come, go or fare differently.

    `when` is when `work` is to be called next, infinite where there is nothing to do. Times are
    seconds on any clock.
    """

    def __init__(self, config: Config, stats: LbStats, rng: Random) -> None:
        self.when = inf
        self._hosts: Sequence[H] = ()
        self._config = config
        self._stats = stats
        self._rng = rng
        self._slow_start: SlowStart[H] | None = None
        if config.slow_start is not None and config.lb_policy not in HASHING:
            self._slow_start = SlowStart(config.slow_start)
        self._weigh_at = inf
        self._all = self._new_set()
        self._subsets: Subsets[H] | None = None
        if config.lb_subset is not None:
            self._subsets = Subsets(config.lb_subset, self._new_set)
        self._plain: Next[H] | None = None

    def _new_set(self) -> HostSet[H]:
        return HostSet(self._config, self._slow_start, self._stats.lb_healthy_panic, self._rng)

    def update(self, hosts: Sequence[H], now: float) -> None:
        """Have these hosts from now on, as they fare at `now`.

        Those of whose health nothing is known are as if they were not there, even in a panic.
        """
        self._hosts = [host for host in hosts if not host.member.unknown]
        if self._slow_start is not None:
            self._slow_start.note([host for host in self._hosts if host.member.healthy], now)
        self._weigh(now)

    def _weigh(self, now: float) -> None:
        if self._subsets is None:
            self._all.update(self._hosts, now)
            self._plain = self._all.plain
        else:
            self._subsets.update(self._hosts, now)
        if self._slow_start is not None:
            self._weigh_at = self._slow_start.next_change(now)
        self._step(now)

    def work(self, now: float) -> None:
        """Go on with what was put off, for a millisecond or so."""
        if now >= self._weigh_at:
            self._weigh(now)
        else:
            self._step(now)

    def finish(self) -> None:
        """Do all at once that was put off, however long it takes."""
        while self._is_busy():
            pass
        self.when = self._weigh_at

    def _step(self, now: float) -> None:
        self.when = now + PAUSE if self._is_busy() else self._weigh_at

    def _is_busy(self) -> bool:
        """Do a step; returns whether there is another one to do."""
        return any(map(HostSet.work, [self._all] if self._subsets is None else self._subsets))

    def pick(self, tried: Collection[H] = (), wish: Wish = ANY) -> H | None:
        """Return a host, one of `tried` only for want of others; None if there is none."""
        if self._plain is not None:
            host = self._plain()
            if host not in tried:
                return host
        if self._subsets is None:
            return self._all.pick(tried, wish.key)
        subset = self._subsets.get(wish.subset)
        host_or_none = None if subset is None else subset.pick(tried, wish.key)
        if host_or_none is not None:
            self._stats.lb_subsets_selected.add()
            return host_or_none
        self._stats.lb_subsets_fallback.add()
        return self._subsets.fallback.pick(tried, wish.key)
