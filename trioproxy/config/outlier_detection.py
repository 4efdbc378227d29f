"""Which hosts are ejected for how they answer the requests that they get."""

from pathlib import Path
from typing import Annotated

import attrs

from trioproxy.config.marks import Count, Invalid, Range
from trioproxy.config.units import Fraction, Seconds


@attrs.frozen
class OutlierDetection:
    """Hosts that stand out by their errors get no requests for a while.

    `enforcing_...` is how often such a host is really ejected rather than only counted and logged.
    """

    consecutive_5xx: Annotated[
        Count, "So many 5xx, resets, timeouts and failed connects in a row, seen by one worker"
    ] = 5
    consecutive_gateway_failure: Annotated[
        Count, "So many 502, 503, 504, resets, timeouts and failed connects in a row"
    ] = 5
    split_external_local_origin_errors: Annotated[
        bool,
        "Judge resets, timeouts and failed connects on their own, by what has `local_origin` in"
        " its name, rather than as 503 and 504",
    ] = False
    consecutive_local_origin_failure: Annotated[
        Count, "So many resets, timeouts and failed connects in a row, where they are split off"
    ] = 5
    interval: Annotated[Seconds, "Rates are judged, and ejections ended, once in this time"] = 10.0
    base_ejection_time: Annotated[
        Seconds, "An ejection lasts so long times the ejections of that host in a row"
    ] = 30.0
    max_ejection_time: Annotated[Seconds, "But at most so long, or `base_ejection_time`"] = 300.0
    max_ejection_time_jitter: Annotated[
        Seconds, "And longer by up to so much, at random, so that not all return together"
    ] = 0.0
    max_ejection_percent: Annotated[
        Fraction, "The share of the cluster's hosts that may be ejected at a time"
    ] = 0.1
    always_eject_one_host: Annotated[bool, "One may be, whatever the share of one host is"] = True
    successful_active_health_check_uneject_host: Annotated[
        bool, "A health check that is passed ends an ejection"
    ] = True
    enforcing_consecutive_5xx: Annotated[Fraction, "See above"] = 1.0
    enforcing_consecutive_gateway_failure: Annotated[Fraction, "See above"] = 0.0
    enforcing_consecutive_local_origin_failure: Annotated[Fraction, "See above"] = 1.0
    enforcing_success_rate: Annotated[Fraction, "See above"] = 1.0
    enforcing_local_origin_success_rate: Annotated[Fraction, "See above"] = 1.0
    enforcing_failure_percentage: Annotated[Fraction, "See above"] = 0.0
    enforcing_failure_percentage_local_origin: Annotated[Fraction, "See above"] = 0.0
    success_rate_minimum_hosts: Annotated[
        Count, "Success rates are compared where so many hosts had enough requests"
    ] = 5
    success_rate_request_volume: Annotated[
        Count, "Enough for that: so many requests to the host within `interval`"
    ] = 100
    success_rate_stdev_factor: Annotated[
        int,
        Range(0),
        "In thousandths: a host is ejected whose rate is less than the mean by so many standard"
        " deviations",
    ] = 1900
    failure_percentage_threshold: Annotated[
        Fraction, "A host is ejected whose share of failures is at least this"
    ] = 0.85
    failure_percentage_minimum_hosts: Annotated[
        Count, "Where so many hosts had enough requests"
    ] = 5
    failure_percentage_request_volume: Annotated[
        Count, "Enough for that: so many requests to the host within `interval`"
    ] = 50
    event_log_path: Annotated[
        Path | None, "Where a JSON line is appended for each ejection and its end"
    ] = None

    def __attrs_post_init__(self) -> None:
        for field in ("interval", "base_ejection_time"):
            if not getattr(self, field):
                raise Invalid(f"{field} is 0", field)

    @property
    def longest(self) -> float:
        """The seconds that an ejection lasts at most, jitter aside."""
        return max(self.max_ejection_time, self.base_ejection_time)
