"""The statistics of who is well and who stands out; what is not hidden is written by main.

It has Envoy's names.
"""

from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter, HiddenCounter, OwnGauge
from trioproxy.stats.upstream import host_scope
from trioproxy.stats.writer import Writer


class HealthCheckStats(Family):
    """`cluster.<name>.health_check.`"""

    attempt: Counter
    success: Counter
    failure: Counter
    network_failure: Counter
    healthy: OwnGauge

    def __init__(self, writer: Writer, cluster: str) -> None:
        super().__init__(writer, f"cluster.{cluster}.health_check")


class OutlierDetectionStats(Family):
    """`cluster.<name>.outlier_detection.`"""

    ejections_active: OwnGauge
    ejections_overflow: Counter
    ejections_enforced_total: Counter
    ejections_detected_consecutive_5xx: Counter
    ejections_enforced_consecutive_5xx: Counter
    ejections_detected_consecutive_gateway_failure: Counter
    ejections_enforced_consecutive_gateway_failure: Counter
    ejections_detected_consecutive_local_origin_failure: Counter
    ejections_enforced_consecutive_local_origin_failure: Counter
    ejections_detected_success_rate: Counter
    ejections_enforced_success_rate: Counter
    ejections_detected_local_origin_success_rate: Counter
    ejections_enforced_local_origin_success_rate: Counter
    ejections_detected_failure_percentage: Counter
    ejections_enforced_failure_percentage: Counter
    ejections_detected_failure_percentage_local_origin: Counter
    ejections_enforced_failure_percentage_local_origin: Counter

    def __init__(self, writer: Writer, cluster: str) -> None:
        super().__init__(writer, f"cluster.{cluster}.outlier_detection")


class HostOutcomes(Family):
    """What came of tries at one host, where outliers are looked for; read by main.

    The host's answers, then whether there was one, where that is judged on its own.
    """

    success: HiddenCounter
    failure: HiddenCounter
    local_success: HiddenCounter
    local_failure: HiddenCounter

    def __init__(self, writer: Writer, cluster: str, address: str) -> None:
        super().__init__(writer, f"{host_scope(cluster, address)}.outcome")
