"""The watch over the health of a cluster's hosts: health checks, and what workers see of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

from trioproxy.clusters.checking import Checking
from trioproxy.clusters.ejector import Ejector
from trioproxy.clusters.event_log import EventLog
from trioproxy.clusters.findings import Findings
from trioproxy.clusters.outliers import Outliers
from trioproxy.clusters.probe import Probe
from trioproxy.clusters.tcp_dialogue import TcpDialogue
from trioproxy.config.address import Address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from random import Random

    from trioproxy.accesslog.writer import AccessLogs
    from trioproxy.clusters.membership import Membership
    from trioproxy.clusters.probe import Dialogue
    from trioproxy.clusters.tallies import Tallies
    from trioproxy.config.health_check import ActiveHealthCheck
    from trioproxy.config.outlier_detection import OutlierDetection
    from trioproxy.stats.writer import Writer


@attrs.frozen
class WatchTools:
    """What the watch works with; `logs` are for its events, `wall_clock` returns Unix time."""

    writer: Writer
    tallies: Tallies
    rng: Random
    logs: AccessLogs
    wall_clock: Callable[[], float]


class Watch:
    """The watch over one cluster; raises OSError where an event log cannot be opened.

    `jobs` go on for as long as the cluster lives. Where no outliers are looked for, `outliers` is
    None.
    """

    def __init__(self, membership: Membership, tools: WatchTools) -> None:
        self._membership = membership
        self._tools = tools
        self.jobs: list[Callable[[], Awaitable[None]]] = []
        self.outliers: Outliers | None = None
        passed: Callable[[str], None] = ignore
        config = membership.config
        if config.outlier_detection is not None:
            ejector = self._ejector(config.outlier_detection)
            passed = ejector.passed
            self.outliers = Outliers(membership, config.outlier_detection, ejector, tools.tallies)
            self.jobs.append(self.outliers.run)
        self.jobs += [self._checking(check, passed).run for check in config.health_checks]

    def _ejector(self, config: OutlierDetection) -> Ejector:
        tools, events = self._tools, self._events(config.event_log_path)
        return Ejector(self._membership, config, tools.writer, events, tools.rng)

    def _checking(self, check: ActiveHealthCheck, passed: Callable[[str], None]) -> Checking:
        tools, membership = self._tools, self._membership
        events = self._events(check.event_log_path)
        return Checking(
            membership,
            check,
            Findings(membership, check, tools.writer, events),
            partial(open_probe, check, dialogue(check, membership.name)),
            tools.rng,
            partial(tools.tallies.had_traffic, membership.name),
            passed,
        )

    def _events(self, path: Path | None) -> EventLog:
        write = self._tools.logs.open(str(path)).write if path is not None else ignore
        return EventLog(self._membership.name, write, self._tools.wall_clock)


def open_probe(check: ActiveHealthCheck, dialogue: Dialogue, address: str) -> Probe:
    """Return what checks the host at `address`."""
    return Probe(Address.parse(address), check, dialogue)


def dialogue(check: ActiveHealthCheck, cluster: str) -> Dialogue:
    """Return what is said to a host."""
    if check.http is None:
        assert check.tcp is not None
        return TcpDialogue(check.tcp)
    # Late: who checks nothing over HTTP does not wait for h11.
    from trioproxy.clusters.http_dialogue import HttpDialogue

    return HttpDialogue(check.http, cluster)


def ignore(_: object) -> None:
    """Do nothing about it."""
