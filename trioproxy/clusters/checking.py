"""Active health checks: each host of a cluster is probed from main, in a task of its own."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import trio

from trioproxy.clusters.probe import CheckFailed
from trioproxy.clusters.readiness import want_of_health
from trioproxy.clusters.verdict import Verdict
from trioproxy.upstream.member import FAILED_ACTIVE_HC

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from trioproxy.clusters.findings import Findings
    from trioproxy.clusters.membership import Membership
    from trioproxy.clusters.probe import Probe
    from trioproxy.config.health_check import ActiveHealthCheck
    from trioproxy.upstream.member import Member


class Checking:
    """Checks whoever is a member; `findings` takes down how it went.

    `probe` makes what checks a host. `had_traffic` tells whether the cluster was ever connected
    to. `passed` is called with the key of each host that passes.
    """

    def __init__(
        self,
        membership: Membership,
        check: ActiveHealthCheck,
        findings: Findings,
        probe: Callable[[Member], Probe],
        rng: Random,
        had_traffic: Callable[[], bool],
        passed: Callable[[str], None],
    ) -> None:
        self._membership = membership
        self._check = check
        self._findings = findings
        self._probe = probe
        self._rng = rng
        self._had_traffic = had_traffic
        self._passed = passed
        self._watched: dict[tuple[str, str, str], trio.CancelScope] = {}

    async def run(self) -> None:
        """Check each member for as long as it is one, until cancelled."""
        seen = -1
        self._watched.clear()
        async with trio.open_nursery() as nursery:
            while True:
                seen = await self._membership.listed.beyond(seen)
                self._follow(nursery)

    def _follow(self, nursery: trio.Nursery) -> None:
        """Check newcomers, and nobody who is gone; who is somewhere else is both."""
        members = self._membership.members
        listed = {(each.key, each.address, each.hostname): each for each in members}
        for gone in self._watched.keys() - listed.keys():
            self._watched.pop(gone).cancel()
        for known, member in listed.items():
            if known not in self._watched:
                self._watched[known] = trio.CancelScope()
                nursery.start_soon(self._watch, member, self._watched[known])
        self._findings.count_healthy()

    async def _watch(self, member: Member, listed: trio.CancelScope) -> None:
        """Check one host again and again until `listed` is cancelled."""
        verdict = Verdict(self._check, healthy=FAILED_ACTIVE_HC not in member.flags)
        with listed, closing(self._probe(member)) as probe:
            await trio.sleep(self._rng.uniform(0, self._check.initial_jitter))
            while True:
                await self._look_at(member, probe, verdict)
                await trio.sleep(verdict.pause(self._rng, traffic=self._is_needed()))

    def _is_needed(self) -> bool:
        """Whether anybody uses the cluster, or waits for its hosts to become healthy."""
        return self._had_traffic() or bool(want_of_health(self._membership))

    async def _look_at(self, member: Member, probe: Probe, verdict: Verdict) -> None:
        self._findings.begin()
        try:
            await probe.check()
        except CheckFailed as failure:
            self._findings.failed(member, verdict, failure)
        else:
            self._findings.passed(member, verdict)
            self._passed(member.key)
