"""Main's own statistics: what it knows of itself, written just before somebody reads.

So the gauges are true at every reading, and nobody wakes up between two of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy import __version__
from trioproxy.admin.expiry import days_until_first_expires
from trioproxy.admin.instance import State
from trioproxy.admin.memory import measure
from trioproxy.stats.server import ClusterManagerStats, ListenerManagerStats, ServerStats

if TYPE_CHECKING:
    from trioproxy.admin.instance import Instance
    from trioproxy.stats.reader import Reader
    from trioproxy.stats.snapshot import Snapshot


class OwnStats:
    """Main's statistics together with the reader of everybody's: one for each generation."""

    def __init__(self, instance: Instance, reader: Reader) -> None:
        self._instance = instance
        self._reader = reader
        self._server = ServerStats(instance.writer)
        self._listeners = ListenerManagerStats(instance.writer)
        self._clusters = ClusterManagerStats(instance.writer)
        self._count_what_is_configured()

    def snapshot(self) -> Snapshot:
        """Return every statistic as of now."""
        self._refresh()
        return self._reader.snapshot()

    def _count_what_is_configured(self) -> None:
        """Write what does not change in a generation's life."""
        instance, server = self._instance, self._server
        server.concurrency.set(instance.options.concurrency)
        server.version.set(version_number(__version__))
        server.hot_restart_epoch.set(instance.epoch)
        server.hot_restart_generation.set(instance.epoch + 1)
        listeners = len(instance.config.listeners)
        self._listeners.listener_added.add(listeners)
        self._listeners.listener_create_success.add(listeners * instance.options.concurrency)
        self._listeners.total_listeners_active.set(listeners)
        self._clusters.cluster_added.add(len(instance.config.clusters))

    def _refresh(self) -> None:
        instance, server = self._instance, self._server
        server.uptime.set(int(instance.uptime))
        server.state.set(instance.state)
        server.live.set(instance.state is State.LIVE)
        server.days_until_first_cert_expiring.set(days_until_first_expires(instance.config))
        server.parent_connections.set(self._parent_connections())
        self._listeners.workers_started.set(instance.state in {State.LIVE, State.DRAINING})
        warming = len(instance.unready())
        self._clusters.warming_clusters.set(warming)
        self._clusters.active_clusters.set(len(instance.config.clusters) - warming)
        memory = measure()
        server.memory_allocated.set(memory.allocated)
        server.memory_heap_size.set(memory.heap)
        server.memory_physical_size.set(memory.physical)

    def _parent_connections(self) -> int:
        """Return how many connections are still with older generations."""
        epochs = {owner.epoch for owner in self._reader.living()}
        older = [epoch for epoch in epochs if epoch < self._instance.epoch]
        return sum(self._reader.gauge("server.total_connections", epoch) for epoch in older)


def version_number(version: str) -> int:
    """Return a version as one number that grows with it: 1.2.3 is 10203."""
    major, minor, patch = map(int, version.split(".")[:3])
    return (major * 100 + minor) * 100 + patch
