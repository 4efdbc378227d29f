"""The statistics of HTTP/2 connections, under Envoy's names: `http2.`, `cluster.<name>.http2.`"""

from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter, Gauge
from trioproxy.stats.writer import Writer


class Http2Stats(Family):
    """Everything that speaks HTTP/2 on one side."""

    streams_active: Gauge
    rx_reset: Counter
    tx_reset: Counter
    stream_refused_errors: Counter
    rx_messaging_error: Counter
    header_overflow: Counter
    trailers: Counter
    goaway_sent: Counter
    keepalive_timeout: Counter
    inbound_empty_frames_flood: Counter
    inbound_priority_frames_flood: Counter
    inbound_window_update_frames_flood: Counter
    inbound_resets_flood: Counter  # ours: Envoy counts resets that come early, elsewhere
    outbound_control_flood: Counter

    def __init__(self, writer: Writer, scope: str = "http2") -> None:
        super().__init__(writer, scope)
        self._by_limit = {
            "max_resets": self.inbound_resets_flood,
            "max_ping_frames": self.outbound_control_flood,
            "max_settings_frames": self.outbound_control_flood,
            "max_empty_frames": self.inbound_empty_frames_flood,
            "max_idle_frames": self.inbound_priority_frames_flood,
            "max_window_update_frames": self.inbound_window_update_frames_flood,
            "max_header_block_size": self.header_overflow,
            "max_continuation_frames": self.header_overflow,
        }

    def exceeded(self, limit: str) -> None:
        """Count a connection that was ended for a limit, or for anything else, `limit` empty."""
        self._by_limit.get(limit, self.rx_messaging_error).add()
