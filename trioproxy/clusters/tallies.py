"""What the workers, of all living generations, have counted in the shared region."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioproxy.clusters.success_rates import Outcome
from trioproxy.stats.family import sanitized
from trioproxy.stats.layout import Kind
from trioproxy.stats.table import Name
from trioproxy.stats.upstream import host_scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioproxy.stats.reader import Reader


PARTS = ("success", "failure", "local_success", "local_failure")


@attrs.frozen
class Outcomes:
    """What came of tries at a host: its answers, and whether there were any where that is split."""

    external: Outcome
    local: Outcome

    def __sub__(self, earlier: Outcomes) -> Outcomes:
        return Outcomes(self.external - earlier.external, self.local - earlier.local)


class Tallies:
    """Reads them, all of them sums since the first generation started."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._busy: set[str] = set()

    def had_traffic(self, cluster: str) -> bool:
        """Whether anybody ever connected to the cluster."""
        if cluster not in self._busy:
            name = Name(Kind.COUNTER, f"{sanitized(f'cluster.{cluster}')}.upstream_cx_total")
            if any(self._reader.counts([name])):
                self._busy.add(cluster)
        return cluster in self._busy

    def outcomes(self, cluster: str, keys: Sequence[str]) -> dict[str, Outcomes]:
        """Return what came of tries at each host."""
        scopes = [sanitized(f"{host_scope(cluster, key)}.outcome") for key in keys]
        names = [Name(Kind.HIDDEN_COUNTER, f"{scope}.{each}") for scope in scopes for each in PARTS]
        counts = iter(self._reader.counts(names))
        return {
            key: Outcomes(Outcome(*each[:2]), Outcome(*each[2:]))
            for key, *each in zip(keys, counts, counts, counts, counts, strict=True)
        }
