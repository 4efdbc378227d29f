"""What comes of a health check: the host is marked, it is counted, logged, and told as an event."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from trioproxy.clusters.probe import Failure
from trioproxy.clusters.verdict import Change
from trioproxy.config.address import Address
from trioproxy.stats.health import HealthCheckStats
from trioproxy.upstream.member import FAILED_ACTIVE_HC, PENDING_ACTIVE_HC

if TYPE_CHECKING:
    from trioproxy.clusters.event_log import EventLog
    from trioproxy.clusters.membership import Membership
    from trioproxy.clusters.probe import CheckFailed
    from trioproxy.clusters.verdict import Verdict
    from trioproxy.config.health_check import ActiveHealthCheck
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.member import Member

log = logging.getLogger("trioproxy.clusters")


class Findings:
    """Takes down how the hosts of one cluster did in their checks."""

    def __init__(
        self, membership: Membership, check: ActiveHealthCheck, writer: Writer, events: EventLog
    ) -> None:
        self._membership = membership
        self._check = check
        self._stats = HealthCheckStats(writer, membership.name)
        self._events = events

    def begin(self) -> None:
        """Count a check that begins."""
        self._stats.attempt.add()

    def passed(self, member: Member, verdict: Verdict) -> None:
        """Take down that a host passed."""
        self._stats.success.add()
        first = verdict.pending
        if verdict.passed() is Change.DONE:
            self._stats.healthy.add()
            log.info("cluster %s: %s is healthy", self._membership.name, member.address)
            self._tell(member, "add_healthy_event", first_check=first)
        if verdict.healthy:
            self._membership.clear(member.key, FAILED_ACTIVE_HC)
        if self._check.always_log_health_check_success:
            self._tell(member, "successful_health_check_event", first_check=first)
        self._membership.clear(member.key, PENDING_ACTIVE_HC)

    def failed(self, member: Member, verdict: Verdict, failure: CheckFailed) -> None:
        """Take down that a host failed, and why."""
        self._stats.failure.add()
        if failure.kind is not Failure.ACTIVE:
            self._stats.network_failure.add()
        first, kind = verdict.pending, failure.kind.name
        if verdict.failed(at_once=failure.decisive) is Change.DONE:
            self._stats.healthy.add(-1)
            self._tell(member, "eject_unhealthy_event", failure_type=kind)
        if first or verdict.change is Change.DONE:
            log.warning(
                "cluster %s: %s is unhealthy: %s", self._membership.name, member.address, failure
            )
        if first or self._check.always_log_health_check_failures:
            self._tell(member, "health_check_failure_event", failure_type=kind, first_check=first)
        if not verdict.healthy:
            self._membership.mark(member.key, FAILED_ACTIVE_HC, str(failure))
        self._membership.clear(member.key, PENDING_ACTIVE_HC)

    def count_healthy(self) -> None:
        """Count anew who is healthy as far as checks tell: hosts came or went."""
        members = self._membership.members
        self._stats.healthy.set(sum(FAILED_ACTIVE_HC not in each.flags for each in members))

    def _tell(self, member: Member, event: str, **said: object) -> None:
        kind = "HTTP" if self._check.http is not None else "TCP"
        host = Address.parse(member.address).structured
        self._events.note(health_checker_type=kind, host=host, **{event: said})
