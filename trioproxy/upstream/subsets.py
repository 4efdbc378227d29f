"""Subsets of a cluster's hosts by their metadata: a route names one, or falls back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from trioproxy.upstream.policies import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trioproxy.config.balancing import Subsets as Config
    from trioproxy.upstream.host_set import HostSet

H = TypeVar("H", bound=Host)

Criteria = frozenset[tuple[str, object]]
"""What the metadata of the hosts of a subset have in common: keys with their values."""


class Subsets(Generic[H]):
    """A host set for each subset, made as soon as it has a host, and one to fall back on."""

    def __init__(self, config: Config, new_set: Callable[[], HostSet[H]]) -> None:
        self._config = config
        self._new_set = new_set
        self._selectors = [selector.keys for selector in config.subset_selectors]
        self._default = frozenset(config.default_subset.items())
        self._sets: dict[Criteria, HostSet[H]] = {}
        self._fallback = new_set()

    def __iter__(self) -> Iterator[HostSet[H]]:
        yield self._fallback
        yield from self._sets.values()

    def update(self, hosts: Sequence[H], now: float) -> None:
        """Have these hosts from now on, as they fare at `now`."""
        known, self._sets = self._sets, {}
        for criteria, members in self._divide(hosts).items():
            subset = self._sets[criteria] = known.get(criteria) or self._new_set()
            subset.update(members, now)
        if self._config.fallback_policy != "no_fallback":
            fallback = [h for h in hosts if self._default <= h.member.metadata.items()]
            self._fallback.update(fallback, now)

    def _divide(self, hosts: Sequence[H]) -> dict[Criteria, list[H]]:
        subsets: dict[Criteria, list[H]] = {}
        for keys in self._selectors:
            for host in hosts:
                metadata = host.member.metadata
                if all(key in metadata for key in keys):
                    criteria = frozenset((key, metadata[key]) for key in keys)
                    subsets.setdefault(criteria, []).append(host)
        return subsets

    def get(self, criteria: Criteria) -> HostSet[H] | None:
        """Return a subset's hosts; None where there is none, as where nothing is asked for."""
        return self._sets.get(criteria)

    @property
    def fallback(self) -> HostSet[H]:
        """Who takes requests of no subset; empty where nobody does."""
        return self._fallback
