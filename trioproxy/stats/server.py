"""The statistics of the process as a whole, under Envoy's names.

A family lists what something here writes: a name joins when its writer does.
"""

from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter, Gauge, Histogram, OwnGauge
from trioproxy.stats.writer import Writer


class ServerStats(Family):
    """`server.`: written by main; beside them each worker has its own `total_connections`."""

    uptime: OwnGauge  # s
    live: OwnGauge
    state: OwnGauge  # 0 LIVE, 1 DRAINING, 2 PRE_INITIALIZING, 3 INITIALIZING
    concurrency: OwnGauge
    version: OwnGauge
    hot_restart_epoch: OwnGauge
    hot_restart_generation: OwnGauge
    parent_connections: OwnGauge
    memory_allocated: Gauge  # bytes
    memory_heap_size: Gauge
    memory_physical_size: Gauge
    days_until_first_cert_expiring: OwnGauge
    initialization_time_ms: Histogram

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer, "server")


class WatchdogStats(Family):
    """`server.worker_<i>.`: how often it left main's pings unanswered; written by main."""

    watchdog_miss: Counter  # for a second
    watchdog_mega_miss: Counter  # for ten

    def __init__(self, writer: Writer, worker: int) -> None:
        super().__init__(writer, f"server.worker_{worker}")


class ListenerManagerStats(Family):
    """`listener_manager.`: written by main."""

    listener_added: Counter
    listener_create_success: Counter
    total_listeners_active: OwnGauge
    workers_started: OwnGauge

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer, "listener_manager")


class ClusterManagerStats(Family):
    """`cluster_manager.`: written by main."""

    cluster_added: Counter
    active_clusters: OwnGauge
    warming_clusters: OwnGauge

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer, "cluster_manager")


class FilesystemStats(Family):
    """`filesystem.`: what became of the lines of the access log."""

    write_completed: Counter  # batches of lines
    write_failed: Counter
    write_dropped: Counter  # lines that were lost, to a full queue too
    reopen_failed: Counter

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer, "filesystem")
