"""The statistics of listeners and of the filters that serve clients, under Envoy's names.

A family lists what something here writes: a name joins when its writer does.
"""

from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter, Gauge, Histogram, Responses
from trioproxy.stats.writer import Writer


class ListenerStats(Family):
    """`listener.<address>.`"""

    downstream_cx_total: Counter
    downstream_cx_active: Gauge
    downstream_cx_destroy: Counter
    downstream_cx_overflow: Counter  # pauses at max_connections: nobody is refused, all wait
    downstream_cx_handed_over: Counter
    downstream_cx_adopted: Counter
    downstream_cx_length_ms: Histogram
    connections_accepted_per_socket_event: Histogram

    def __init__(self, writer: Writer, address: str) -> None:
        super().__init__(writer, f"listener.{address}")


class EntranceStats(Family):
    """`listener.<address>.`, of connections that no chain was chosen for yet."""

    downstream_pre_cx_active: Gauge
    downstream_pre_cx_timeout: Counter
    downstream_listener_filter_error: Counter
    downstream_listener_filter_remote_close: Counter
    no_filter_chain_match: Counter

    def __init__(self, writer: Writer, scope: str) -> None:
        super().__init__(writer, scope)


class ListenerWorkerStats(Family):
    """`listener.<address>.worker_<i>.`"""

    downstream_cx_total: Counter
    downstream_cx_active: Gauge

    def __init__(self, writer: Writer, address: str, worker: int) -> None:
        super().__init__(writer, f"listener.{address}.worker_{worker}")


class HttpStats(Family):
    """`http.<stat_prefix>.`"""

    downstream_cx_total: Counter
    downstream_cx_active: Gauge
    downstream_cx_destroy: Counter
    downstream_cx_destroy_local: Counter
    downstream_cx_destroy_remote: Counter
    downstream_cx_destroy_active_rq: Counter
    downstream_cx_destroy_local_active_rq: Counter
    downstream_cx_destroy_remote_active_rq: Counter
    downstream_cx_drain_close: Counter
    downstream_cx_idle_timeout: Counter
    downstream_cx_max_duration_reached: Counter
    downstream_cx_max_requests_reached: Counter
    downstream_cx_delayed_close_timeout: Counter
    downstream_cx_protocol_error: Counter
    downstream_cx_length_ms: Histogram
    downstream_cx_rx_bytes_total: Counter
    downstream_cx_tx_bytes_total: Counter
    downstream_cx_http1_total: Counter
    downstream_cx_http1_active: Gauge
    downstream_cx_http2_total: Counter
    downstream_cx_http2_active: Gauge
    downstream_cx_ssl_total: Counter
    downstream_cx_ssl_active: Gauge
    downstream_cx_upgrades_total: Counter
    downstream_cx_upgrades_active: Gauge
    downstream_rq_total: Counter
    downstream_rq_active: Gauge
    downstream_rq_completed: Counter
    downstream_rq_1xx: Counter
    downstream_rq_2xx: Counter
    downstream_rq_3xx: Counter
    downstream_rq_4xx: Counter
    downstream_rq_5xx: Counter
    downstream_rq_http1_total: Counter
    downstream_rq_http2_total: Counter
    downstream_rq_time: Histogram  # ms
    downstream_rq_idle_timeout: Counter
    downstream_rq_header_timeout: Counter
    downstream_rq_rx_reset: Counter
    downstream_rq_tx_reset: Counter
    downstream_rq_too_large: Counter
    downstream_rq_response_before_rq_complete: Counter
    downstream_rq_ws_on_non_ws_route: Counter  # upgrades that were asked for in vain
    no_route: Counter
    rq_total: Counter
    rq_direct_response: Counter
    rq_redirect: Counter
    rq_reset_after_downstream_response_started: Counter

    def __init__(self, writer: Writer, stat_prefix: str) -> None:
        super().__init__(writer, f"http.{stat_prefix}")
        self.responses = Responses(
            self.downstream_rq_completed,
            self.downstream_rq_1xx,
            self.downstream_rq_2xx,
            self.downstream_rq_3xx,
            self.downstream_rq_4xx,
            self.downstream_rq_5xx,
        )

    def downstream_cx_end(self, *, remote: bool, active_rq: bool) -> None:
        """Count a connection as ended by the client or by us, maybe in the middle of a request."""
        self.downstream_cx_destroy.add()
        (self.downstream_cx_destroy_remote if remote else self.downstream_cx_destroy_local).add()
        if active_rq:
            self.downstream_cx_destroy_active_rq.add()
            if remote:
                self.downstream_cx_destroy_remote_active_rq.add()
            else:
                self.downstream_cx_destroy_local_active_rq.add()


class TcpStats(Family):
    """`tcp.<stat_prefix>.`"""

    downstream_cx_total: Counter
    downstream_cx_drain_close: Counter
    downstream_cx_rx_bytes_total: Counter
    downstream_cx_tx_bytes_total: Counter
    idle_timeout: Counter
    max_downstream_connection_duration: Counter

    def __init__(self, writer: Writer, stat_prefix: str) -> None:
        super().__init__(writer, f"tcp.{stat_prefix}")
