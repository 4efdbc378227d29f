"""The statistics of a cluster's hosts: one set for each, as long as there is room for names."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from trioproxy.stats.table import RegionFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.stats.writer import Writer

log = logging.getLogger("trioproxy.upstream")

MOST = 5_000  # hosts of a cluster in a process's life: a name is never given back
REST = "rest"

Figures = TypeVar("Figures")


class HostFigures(Generic[Figures]):
    """Makes the statistics of each host once, so that one that returns counts on.

    Where hosts come and go for months, the later ones share `rest`. `family` makes those of a
    cluster's host.
    """

    def __init__(
        self, writer: Writer, cluster: str, family: Callable[[Writer, str, str], Figures]
    ) -> None:
        self._writer = writer
        self._cluster = cluster
        self._family = family
        self._known: dict[str, Figures] = {}
        self._rest = family(writer, cluster, REST)

    def of(self, key: str) -> Figures:
        """Return the statistics of the host that is known by `key`."""
        known = self._known.get(key)
        if known is None and len(self._known) < MOST:
            known = self._known[key] = self._make(key)
        return known or self._rest

    def _make(self, key: str) -> Figures:
        try:
            return self._family(self._writer, self._cluster, key)
        except RegionFull as error:
            log.warning("cluster %s: host %s is not counted: %s", self._cluster, key, error)
            return self._rest
