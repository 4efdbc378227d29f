"""The clusters of a generation, with what main knows of them and hears from its workers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from trioproxy.accesslog.writer import AccessLogs
from trioproxy.clusters.manager import ClusterManager
from trioproxy.clusters.tallies import Tallies
from trioproxy.clusters.watch import WatchTools
from trioproxy.listener.assembly import LogCounter, wall_clock
from trioproxy.server.place import StartFailed
from trioproxy.stats.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from trioproxy.config.cluster import Cluster
    from trioproxy.server.as_child import Lineage
    from trioproxy.server.supervisor import Supervisor
    from trioproxy.stats.region import Region
    from trioproxy.stats.writer import Writer


@contextmanager
def open_clusters(
    clusters: Sequence[Cluster],
    region: Region,
    writer: Writer,
    rng: Random,
    supervisor: Supervisor,
    lineage: Lineage,
) -> Iterator[ClusterManager]:
    """Manage the clusters; raises StartFailed where files cannot be opened, or will not do."""
    with Reader(region, writer.epoch) as reader, AccessLogs(LogCounter(writer)) as logs:
        tools = WatchTools(writer, Tallies(reader), rng, logs, wall_clock)
        try:
            manager = ClusterManager(clusters, supervisor.set_hosts, tools, lineage.healthy)
        except OSError as error:
            raise StartFailed(f"cannot open {error.filename}: {error.strerror}") from error
        except ValueError as error:  # files of TLS that have changed since they were verified
            raise StartFailed(str(error)) from error
        supervisor.accuse = manager.accuse
        yield manager
