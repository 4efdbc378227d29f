"""Passive health: hosts that stand out by what workers saw of them are ejected for a while.

Workers count. They accuse a host that fails too often in a row; rates are compared here, once in an
interval. Whether anybody is ejected is decided in main alone, so that all workers agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.clusters.success_rates import Comparison, compare, rates
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioproxy.clusters.ejector import Ejector
    from trioproxy.clusters.membership import Membership
    from trioproxy.clusters.success_rates import Outcome
    from trioproxy.clusters.tallies import Outcomes, Tallies
    from trioproxy.config.outlier_detection import OutlierDetection


class Outliers:
    """Watches the hosts of one cluster; how they compare is kept in `membership`."""

    def __init__(
        self,
        membership: Membership,
        config: OutlierDetection,
        ejector: Ejector,
        tallies: Tallies,
    ) -> None:
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
        self._membership.success_rates = self._judge(
            {key: each.external for key, each in outcomes.items()},
            EjectionType.SUCCESS_RATE,
            EjectionType.FAILURE_PERCENTAGE,
        )
        self._membership.local_success_rates = self._judge(
            {key: each.local for key, each in outcomes.items()},
            EjectionType.SUCCESS_RATE_LOCAL_ORIGIN,
            EjectionType.FAILURE_PERCENTAGE_LOCAL_ORIGIN,
        )

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
    ) -> Comparison:
        """Eject who stands out; returns how all did who had requests enough."""
        config, comparison = self._config, Comparison()
        compared = rates(outcomes, config.success_rate_request_volume)
        if len(compared) >= config.success_rate_minimum_hosts:
            comparison = compare(compared, config.success_rate_stdev_factor / 1000)
            self._judge_by_rate(comparison, by_rate)
        alone = rates(outcomes, config.failure_percentage_request_volume)
        if len(alone) >= config.failure_percentage_minimum_hosts:
            self._judge_by_share(alone, by_share)
        return attrs.evolve(comparison, rates={**alone, **compared})

    def _judge_by_rate(self, comparison: Comparison, kind: EjectionType) -> None:
        for key in comparison.outliers:
            event = {
                "host_success_rate": round(comparison.rates[key]),
                "cluster_average_success_rate": round(comparison.mean),
                "cluster_success_rate_ejection_threshold": round(comparison.least),
            }
            self._ejector.detected(key, kind, eject_success_rate_event=event)

    def _judge_by_share(self, known: Mapping[str, float], kind: EjectionType) -> None:
        for key, rate in known.items():
            if 100 - rate >= 100 * self._config.failure_percentage_threshold:
                event = {"host_success_rate": round(rate)}
                self._ejector.detected(key, kind, eject_failure_percentage_event=event)
