"""Active health checks: each host of a cluster is probed from main, in a task of its own."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import trio

from trioproxy.clusters.probe import CheckFailed
from trioproxy.clusters.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from trioproxy.clusters.findings import Findings
    from trioproxy.clusters.membership import Membership
    from trioproxy.clusters.probe import Probe
    from trioproxy.config.health_check import HealthCheck


class Checking:
    """Checks whoever is a member; `findings` takes down how it went.

    `probe` makes what checks an address. `had_traffic` tells whether the cluster was ever connected
    to. `passed` hears of each host that passes.
    """

    def __init__(
        self,
        membership: Membership,
        check: HealthCheck,
        findings: Findings,
        probe: Callable[[str], Probe],
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
        self._watched: dict[str, trio.CancelScope] = {}

    async def run(self) -> None:
        """Check each member for as long as it is one, until cancelled."""
        seen = -1
        async with trio.open_nursery() as nursery:
            while True:
                seen = await self._membership.listed.beyond(seen)
                listed = {each.address: None for each in self._membership.members}
                for address in self._watched.keys() - listed.keys():
                    self._watched.pop(address).cancel()
                for address in listed:
                    if address not in self._watched:
                        self._watched[address] = trio.CancelScope()
                        nursery.start_soon(self._watch, address, self._watched[address])

    async def _watch(self, address: str, listed: trio.CancelScope) -> None:
        """Check one host again and again until `listed` is cancelled."""
        verdict = Verdict(self._check)
        with listed, closing(self._probe(address)) as probe:
            try:
                await trio.sleep(self._rng.uniform(0, self._check.initial_jitter))
                while True:
                    await self._look_at(address, probe, verdict)
                    await trio.sleep(verdict.pause(self._rng, traffic=self._had_traffic()))
            finally:
                self._findings.forget(verdict)

    async def _look_at(self, address: str, probe: Probe, verdict: Verdict) -> None:
        self._findings.begin()
        try:
            await probe.check()
        except CheckFailed as failure:
            self._findings.failed(address, verdict, failure)
        else:
            self._findings.passed(address, verdict)
            self._passed(address)
