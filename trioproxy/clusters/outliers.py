"""Passive health: hosts that stand out by what workers saw of them are ejected for a while.

Workers count. They accuse a host that fails too often in a row; rates are compared here, once in an
interval. Whether anybody is ejected is decided in main alone, so that all workers agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trioproxy.clusters.success_rates import compare, rates
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioproxy.clusters.ejector import Ejector
    from trioproxy.clusters.membership import Membership
    from trioproxy.clusters.success_rates import Outcome
    from trioproxy.clusters.tallies import Outcomes, Tallies
    from trioproxy.config.outlier_detection import OutlierDetection

NOT_KNOWN = -1.0
"""The success rate of a host that had too few requests, as Envoy writes it."""


class Outliers:
    """Watches the hosts of one cluster; `success_rates` are percentages, by key."""

    def __init__(
        self,
        membership: Membership,
        config: OutlierDetection,
        ejector: Ejector,
        tallies: Tallies,
    ) -> None:
        self.success_rates: Mapping[str, float] = {}
        self.local_success_rates: Mapping[str, float] = {}
        self._membership = membership
        self._config = config
        self._ejector = ejector
        self._tallies = tallies
        self._counted: Mapping[str, Outcomes] = {}

    async def run(self) -> None:
        """Look once in an interval, until cancelled."""
        self._take_outcomes()
        while True:
            await trio.sleep(self._config.interval)
            self.look()

    def look(self) -> None:
        """End ejections whose time is over, and compare the rates since the last look."""
        self._ejector.review()
        outcomes = {
            key: each
            for key, each in self._take_outcomes().items()
            if not self._ejector.is_ejected(key)
        }
        self.success_rates = self._judge(
            {key: each.external for key, each in outcomes.items()},
            EjectionType.SUCCESS_RATE,
            EjectionType.FAILURE_PERCENTAGE,
        )
        self.local_success_rates = self._judge(
            {key: each.local for key, each in outcomes.items()},
            EjectionType.SUCCESS_RATE_LOCAL_ORIGIN,
            EjectionType.FAILURE_PERCENTAGE_LOCAL_ORIGIN,
        )

    def rates(self, key: str) -> tuple[float, float]:
        """Return a host's success rates as of the last look, by its answers and by being there."""
        known = self.success_rates.get(key, NOT_KNOWN)
        return known, self.local_success_rates.get(key, NOT_KNOWN)

    def accuse(self, key: str, kind: EjectionType) -> None:
        """A worker saw a host fail too often in a row."""
        self._ejector.detected(key, kind, eject_consecutive_event={})

    def _take_outcomes(self) -> dict[str, Outcomes]:
        """Return what was counted since the last time, of the hosts that were there then, too."""
        members = [each.key for each in self._membership.members]
        before, now = self._counted, self._tallies.outcomes(self._membership.name, members)
        self._counted = now
        return {key: now[key] - before[key] for key in now if key in before}

    def _judge(
        self, outcomes: Mapping[str, Outcome], by_rate: EjectionType, by_share: EjectionType
    ) -> Mapping[str, float]:
        """Eject who stands out; returns the rates of all who had requests enough."""
        compared = rates(outcomes, self._config.success_rate_request_volume)
        if len(compared) >= self._config.success_rate_minimum_hosts:
            self._judge_by_rate(compared, by_rate)
        alone = rates(outcomes, self._config.failure_percentage_request_volume)
        if len(alone) >= self._config.failure_percentage_minimum_hosts:
            self._judge_by_share(alone, by_share)
        return alone | compared

    def _judge_by_rate(self, known: Mapping[str, float], kind: EjectionType) -> None:
        comparison = compare(known, self._config.success_rate_stdev_factor / 1000)
        for key in comparison.outliers:
            event = {
                "host_success_rate": round(known[key]),
                "cluster_average_success_rate": round(comparison.mean),
                "cluster_success_rate_ejection_threshold": round(comparison.least),
            }
            self._ejector.detected(key, kind, eject_success_rate_event=event)

    def _judge_by_share(self, known: Mapping[str, float], kind: EjectionType) -> None:
        for key, rate in known.items():
            if 100 - rate >= 100 * self._config.failure_percentage_threshold:
                event = {"host_success_rate": round(rate)}
                self._ejector.detected(key, kind, eject_failure_percentage_event=event)
