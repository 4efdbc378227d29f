"""The statistics of the process as a whole, under Envoy's names.

A family lists what something here writes: a name joins when its writer does.
"""

from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter, Gauge, Histogram, OwnGauge
from trioproxy.stats.writer import Writer


class ServerStats(Family):
    """`server.`: main writes all but `total_connections`, to which each worker adds its own."""

    uptime: OwnGauge  # s
    live: OwnGauge
    state: OwnGauge  # 0 LIVE, 1 DRAINING, 2 PRE_INITIALIZING, 3 INITIALIZING
    concurrency: OwnGauge
    version: OwnGauge
    hot_restart_epoch: OwnGauge
    hot_restart_generation: OwnGauge
    parent_connections: OwnGauge
    total_connections: Gauge
    memory_allocated: Gauge  # bytes
    memory_heap_size: Gauge
    memory_physical_size: Gauge
    days_until_first_cert_expiring: OwnGauge
    initialization_time_ms: Histogram

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer, "server")


class WatchdogStats(Family):
    """`server.worker_<i>.` or `server.main_thread.`: loops that did not answer in time."""

    watchdog_miss: Counter
    watchdog_mega_miss: Counter

    def __init__(self, writer: Writer, loop: str) -> None:
        super().__init__(writer, f"server.{loop}")


class ListenerManagerStats(Family):
    """`listener_manager.`: written by main."""

    listener_added: Counter
    listener_removed: Counter
    listener_create_success: Counter
    listener_create_failure: Counter
    total_listeners_active: OwnGauge
    total_listeners_warming: OwnGauge
    total_listeners_draining: OwnGauge
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

    write_buffered: Counter
    write_completed: Counter
    write_failed: Counter
    write_dropped: Counter  # lines that found the queue full
    write_total_buffered: Gauge  # bytes
    flushed_by_timer: Counter
    reopen_failed: Counter

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer, "filesystem")
