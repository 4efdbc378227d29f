"""A lane: hosts of one priority, all of them fit, that share one part of the load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from trioproxy.upstream import policies
from trioproxy.upstream.policies import Host, Next

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from random import Random

    from trioproxy.upstream.hash_tables import MakeTable, Table

H = TypeVar("H", bound=Host)

TURNS = 64
"""How often another host is asked of a table that has none that will do."""


class Lane(Protocol[H]):
    """Picks one of `hosts`, of which there is at least one."""

    hosts: Sequence[H]

    def pick(self, key: int, tried: Collection[H]) -> H:
        """Pick for a key; one of `tried` only for want of others."""
        ...


class PolicyLane(Generic[H]):
    """A lane whose policy needs no key."""

    def __init__(
        self, policy: str, hosts: Sequence[H], weights: Sequence[float], rng: Random
    ) -> None:
        """Raises KeyError for an unknown policy."""
        self.hosts = hosts
        self.next: Next[H] = policies.POLICIES[policy](hosts, weights, rng)
        self._weights = weights
        self._substitute = policies.POLICIES["random" if policy == "round_robin" else policy]
        self._rng = rng

    def pick(self, key: int, tried: Collection[H]) -> H:
        """Pick a host; in place of one of `tried` any other, so that no neighbour gets it all."""
        host = self.next()
        if host not in tried:
            return host
        left = [index for index, other in enumerate(self.hosts) if other not in tried]
        if not left:
            return host
        hosts = [self.hosts[index] for index in left]
        weights = [self._weights[index] for index in left]
        return self._substitute(hosts, weights, self._rng)()


class HashLane(Generic[H]):
    """A lane with a table, by which a key always goes to the same host; one host needs none.

    Tables are filled by `work`. Until one is full the one before it serves, without the hosts that
    are there no more; where there is none yet, a key's host is another one than it will be. What is
    begun is ended, even if hosts have changed meanwhile: where they always do, tables come late,
    but they come.
    """

    def __init__(self, make: MakeTable[H]) -> None:
        self.hosts: Sequence[H] = ()
        self._make = make
        self._weights: Sequence[float] = ()
        self._fit: set[H] = set()
        self._table: Table[H] | None = None
        self._next: Table[H] | None = None
        self._filling: Iterator[None] = iter(())
        self._is_stale = False  # what is being filled will be of hosts that were

    def update(self, hosts: Sequence[H], weights: Sequence[float]) -> None:
        """Have these hosts, with these weights, from now on."""
        # Sorted, so that in whatever order they were named the table comes out the same.
        order = sorted(range(len(hosts)), key=lambda index: hosts[index].member.key)
        sorted_hosts = [hosts[index] for index in order]
        sorted_weights = [weights[index] for index in order]
        if sorted_hosts == self.hosts and sorted_weights == self._weights:
            return
        self.hosts, self._weights, self._fit = sorted_hosts, sorted_weights, set(hosts)
        if self._next is None:
            self._begin()
        else:
            self._is_stale = True

    def _begin(self) -> None:
        self._is_stale = False
        if len(self.hosts) > 1:
            self._next = self._make(self.hosts, self._weights)
            self._filling = self._next.fill()

    def work(self) -> bool:
        """Do a step of what is to be done; returns whether there is more."""
        if self._next is None:
            return False
        for _ in self._filling:
            return True
        self._table, self._next = self._next, None
        if not self._is_stale:
            return False
        self._begin()
        return True

    def pick(self, key: int, tried: Collection[H]) -> H:
        """Pick the key's host, or the one that would be the key's without `tried`."""
        if self._table is not None and len(self.hosts) > 1:
            for turn in range(TURNS):
                host = self._table.at(key, turn)
                if host in self._fit and host not in tried:
                    return host
        left = [host for host in self.hosts if host not in tried] or self.hosts
        return left[key % len(left)]
