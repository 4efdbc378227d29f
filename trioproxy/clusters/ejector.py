"""Ejects hosts of one cluster that stand out, and lets them back in when their time is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.clusters.ejection import Ejection
from trioproxy.stats.health import OutlierDetectionStats
from trioproxy.upstream.member import FAILED_OUTLIER_CHECK
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from trioproxy.clusters.event_log import EventLog
    from trioproxy.clusters.membership import Membership
    from trioproxy.config.outlier_detection import OutlierDetection
    from trioproxy.stats.handles import Counter
    from trioproxy.stats.writer import Writer

log = logging.getLogger("trioproxy.clusters")


class Ejector:
    """Decides who is ejected; marks them in `membership`."""

    def __init__(
        self,
        membership: Membership,
        config: OutlierDetection,
        writer: Writer,
        events: EventLog,
        rng: Random,
    ) -> None:
        self._membership = membership
        self._config = config
        self._events = events
        self._rng = rng
        self._stats = OutlierDetectionStats(writer, membership.name)
        self._rules = rules(config, self._stats)
        self._ejections: dict[str, Ejection] = {}

    def is_ejected(self, key: str) -> bool:
        """Whether a host is ejected now."""
        return FAILED_OUTLIER_CHECK in self._membership.reasons(key)

    def detected(self, key: str, kind: EjectionType, **said: object) -> None:
        """A host stands out: eject it if more may be; `said` is for the event log."""
        if key not in self._membership or self.is_ejected(key):
            return
        rule = self._rules[kind]
        rule.detected.add()
        if not self._may_eject():
            self._stats.ejections_overflow.add()
            return
        enforced = self._rng.random() < rule.enforcing
        ejection = self._ejections.setdefault(key, Ejection(self._config))
        since = ejection.last_change
        if enforced:
            rule.enforced.add()
            self._eject(key, ejection, kind)
        self._tell(key, since, "EJECT", type=kind.value, enforced=enforced, **said)

    def review(self) -> None:
        """Let those in whose time is over; called once in an interval."""
        now = trio.current_time()
        for key in [each for each in self._ejections if each not in self._membership]:
            del self._ejections[key]
        for key, ejection in self._ejections.items():
            if not self.is_ejected(key):
                ejection.forgive()
            elif ejection.due(now):
                self._let_in(key, ejection)
        self._count_active()

    def passed(self, key: str) -> None:
        """A host has passed a health check."""
        if self._config.successful_active_health_check_uneject_host and self.is_ejected(key):
            self._let_in(key, self._ejections[key])

    def _may_eject(self) -> bool:
        ejected = self._active()
        if not ejected and self._config.always_eject_one_host:
            return True
        share = (ejected + 1) / len(self._membership.members)
        return share <= self._config.max_ejection_percent

    def _eject(self, key: str, ejection: Ejection, kind: EjectionType) -> None:
        ejection.begin(trio.current_time(), self._rng)
        self._stats.ejections_enforced_total.add()
        why = kind.value.lower().replace("_", " ")
        self._membership.mark(key, FAILED_OUTLIER_CHECK, f"ejected: {why}")
        self._count_active()
        name, length = self._membership.name, ejection.length
        log.warning("cluster %s: %s is ejected for %.3g s: %s", name, key, length, why)

    def _let_in(self, key: str, ejection: Ejection) -> None:
        since = ejection.last_change
        ejection.end(trio.current_time())
        self._membership.clear(key, FAILED_OUTLIER_CHECK)
        self._count_active()
        log.info("cluster %s: %s is ejected no more", self._membership.name, key)
        self._tell(key, since, "UNEJECT")

    def _active(self) -> int:
        return sum(map(self.is_ejected, self._ejections))

    def _count_active(self) -> None:
        self._stats.ejections_active.set(self._active())

    def _tell(self, key: str, since: float | None, action: str, **said: object) -> None:
        ago = -1 if since is None else int(trio.current_time() - since)
        self._events.note(
            upstream_url=key.removeprefix("unix:"),
            action=action,
            num_ejections=self._ejections[key].count,
            secs_since_last_action=ago,
            **said,
        )


@attrs.frozen
class Rule:
    """How one type of ejection is counted, and which share of them is made (0 to 1)."""

    enforcing: float
    detected: Counter
    enforced: Counter


def rules(config: OutlierDetection, stats: OutlierDetectionStats) -> Mapping[EjectionType, Rule]:
    """Return the rule of each type."""
    return {
        EjectionType.CONSECUTIVE_5XX: Rule(
            config.enforcing_consecutive_5xx,
            stats.ejections_detected_consecutive_5xx,
            stats.ejections_enforced_consecutive_5xx,
        ),
        EjectionType.CONSECUTIVE_GATEWAY_FAILURE: Rule(
            config.enforcing_consecutive_gateway_failure,
            stats.ejections_detected_consecutive_gateway_failure,
            stats.ejections_enforced_consecutive_gateway_failure,
        ),
        EjectionType.CONSECUTIVE_LOCAL_ORIGIN_FAILURE: Rule(
            config.enforcing_consecutive_local_origin_failure,
            stats.ejections_detected_consecutive_local_origin_failure,
            stats.ejections_enforced_consecutive_local_origin_failure,
        ),
        EjectionType.SUCCESS_RATE: Rule(
            config.enforcing_success_rate,
            stats.ejections_detected_success_rate,
            stats.ejections_enforced_success_rate,
        ),
        EjectionType.SUCCESS_RATE_LOCAL_ORIGIN: Rule(
            config.enforcing_local_origin_success_rate,
            stats.ejections_detected_local_origin_success_rate,
            stats.ejections_enforced_local_origin_success_rate,
        ),
        EjectionType.FAILURE_PERCENTAGE: Rule(
            config.enforcing_failure_percentage,
            stats.ejections_detected_failure_percentage,
            stats.ejections_enforced_failure_percentage,
        ),
        EjectionType.FAILURE_PERCENTAGE_LOCAL_ORIGIN: Rule(
            config.enforcing_failure_percentage_local_origin,
            stats.ejections_detected_failure_percentage_local_origin,
            stats.ejections_enforced_failure_percentage_local_origin,
        ),
    }
