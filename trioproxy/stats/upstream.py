"""The statistics of clusters and their hosts, under Envoy's names.

A family lists what something here writes: a name joins when its writer does.
"""

from trioproxy.stats.family import Family
from trioproxy.stats.handles import (
    Counter,
    Gauge,
    HiddenCounter,
    HiddenGauge,
    Histogram,
    OwnGauge,
    Responses,
)
from trioproxy.stats.writer import Writer


class MembershipStats(Family):
    """`cluster.<name>.membership_`: written by main."""

    membership_total: OwnGauge
    membership_healthy: OwnGauge
    membership_degraded: OwnGauge
    membership_change: Counter

    def __init__(self, writer: Writer, cluster: str) -> None:
        super().__init__(writer, f"cluster.{cluster}")


class DiscoveryStats(Family):
    """`cluster.<name>.update_`: what became of attempts to find its hosts; written by main."""

    update_attempt: Counter
    update_success: Counter
    update_failure: Counter
    update_empty: Counter
    update_no_rebuild: Counter

    def __init__(self, writer: Writer, cluster: str) -> None:
        super().__init__(writer, f"cluster.{cluster}")


class ClusterStats(Family):
    """`cluster.<name>.`"""

    upstream_cx_total: Counter
    upstream_cx_active: Gauge
    upstream_cx_http1_total: Counter
    upstream_cx_http2_total: Counter
    upstream_cx_connect_fail: Counter
    upstream_cx_connect_timeout: Counter
    upstream_cx_connect_attempts_exceeded: Counter
    upstream_cx_overflow: Counter
    upstream_cx_none_healthy: Counter
    upstream_cx_idle_timeout: Counter
    upstream_cx_max_requests: Counter
    upstream_cx_max_duration_reached: Counter
    upstream_cx_protocol_error: Counter
    upstream_cx_close_notify: Counter
    upstream_cx_destroy: Counter
    upstream_cx_destroy_local: Counter
    upstream_cx_destroy_remote: Counter
    upstream_cx_destroy_with_active_rq: Counter
    upstream_cx_destroy_local_with_active_rq: Counter
    upstream_cx_destroy_remote_with_active_rq: Counter
    upstream_cx_connect_ms: Histogram
    upstream_cx_length_ms: Histogram
    upstream_cx_rx_bytes_total: Counter
    upstream_cx_tx_bytes_total: Counter
    upstream_rq_total: Counter
    upstream_rq_active: Gauge
    upstream_rq_completed: Counter
    upstream_rq_1xx: Counter
    upstream_rq_2xx: Counter
    upstream_rq_3xx: Counter
    upstream_rq_4xx: Counter
    upstream_rq_5xx: Counter
    upstream_rq_time: Histogram  # ms
    upstream_rq_timeout: Counter
    upstream_rq_per_try_timeout: Counter
    upstream_rq_pending_total: Counter
    upstream_rq_pending_active: Gauge
    upstream_rq_pending_overflow: Counter
    upstream_rq_pending_failure_eject: Counter
    upstream_rq_cancelled: Counter
    upstream_rq_rx_reset: Counter
    upstream_rq_retry: Counter
    upstream_rq_retry_success: Counter
    upstream_rq_retry_overflow: Counter
    upstream_rq_retry_limit_exceeded: Counter
    upstream_rq_retry_backoff_exponential: Counter

    def __init__(self, writer: Writer, cluster: str) -> None:
        super().__init__(writer, f"cluster.{cluster}")
        self.responses = Responses(
            self.upstream_rq_completed,
            self.upstream_rq_1xx,
            self.upstream_rq_2xx,
            self.upstream_rq_3xx,
            self.upstream_rq_4xx,
            self.upstream_rq_5xx,
        )

    def upstream_cx_end(self, *, remote: bool, active_rq: bool) -> None:
        """Count a connection as ended by its host or by us, maybe in the middle of a request."""
        self.upstream_cx_destroy.add()
        (self.upstream_cx_destroy_remote if remote else self.upstream_cx_destroy_local).add()
        if active_rq:
            self.upstream_cx_destroy_with_active_rq.add()
            if remote:
                self.upstream_cx_destroy_remote_with_active_rq.add()
            else:
                self.upstream_cx_destroy_local_with_active_rq.add()


class LbStats(Family):
    """`cluster.<name>.lb_`: what came of picking its hosts."""

    lb_healthy_panic: Counter
    lb_subsets_selected: Counter
    lb_subsets_fallback: Counter

    def __init__(self, writer: Writer, cluster: str) -> None:
        super().__init__(writer, f"cluster.{cluster}")


class GrpcStats(Family):
    """`cluster.<name>.grpc.`: calls, and whether they ended with status 0."""

    total: Counter
    success: Counter
    failure: Counter

    def __init__(self, writer: Writer, cluster: str) -> None:
        super().__init__(writer, f"cluster.{cluster}.grpc")


class CircuitBreakerStats(Family):
    """`cluster.<name>.circuit_breakers.default.`: in how many workers each breaker is open."""

    cx_open: Gauge
    rq_open: Gauge
    rq_pending_open: Gauge
    rq_retry_open: Gauge

    def __init__(self, writer: Writer, cluster: str) -> None:
        super().__init__(writer, f"cluster.{cluster}.circuit_breakers.default")


class RetryStats(Family):
    """`cluster.<name>.retries_active`: those in flight, for the budget that all workers share."""

    retries_active: HiddenGauge


def host_scope(cluster: str, address: str) -> str:
    """Return what the names of a host's hidden statistics start with."""
    return f"cluster.{cluster}.host.{address}"


class HostStats(Family):
    """The statistics of one host of a cluster: in `/clusters`, not in `/stats`."""

    cx_total: HiddenCounter
    cx_active: HiddenGauge
    cx_connect_fail: HiddenCounter
    rq_total: HiddenCounter
    rq_active: HiddenGauge
    rq_success: HiddenCounter
    rq_error: HiddenCounter
    rq_timeout: HiddenCounter

    def __init__(self, writer: Writer, cluster: str, address: str) -> None:
        super().__init__(writer, host_scope(cluster, address))
