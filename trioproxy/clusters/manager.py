"""All clusters as main runs them: finds hosts, watches over them, tells the workers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import trio

from trioproxy.clusters.changes import Changes
from trioproxy.clusters.discovery import discover
from trioproxy.clusters.membership import Membership
from trioproxy.clusters.readiness import shortcomings
from trioproxy.clusters.watch import Watch
from trioproxy.upstream.member import UNTRIED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from trioproxy.clusters.discovery import Job
    from trioproxy.clusters.watch import WatchTools
    from trioproxy.config.cluster import Cluster
    from trioproxy.upstream.member import Member
    from trioproxy.upstream.monitor import EjectionType

log = logging.getLogger("trioproxy.clusters")

TOGETHER = 0.02  # seconds in which news are gathered, so that a thousand verdicts are told in a few
BEGIN_AGAIN = 5.0  # seconds after which what has failed at looking after a cluster is begun anew
TELL_AGAIN = 1.0  # seconds after which those who were too busy to listen are told again

Tell: TypeAlias = Callable[[str, Sequence["Member"]], Awaitable[bool]]
"""Tells all workers, those to come included, the name of a cluster and all of its hosts.

Returns whether all of them heard it.
"""


class ClusterManager:
    """Runs what each cluster needs, in main alone: a worker never resolves or probes."""

    def __init__(
        self,
        clusters: Sequence[Cluster],
        tell: Tell,
        tools: WatchTools,
        trusted: Mapping[str, Collection[str]],
    ) -> None:
        """Raises OSError where an event log cannot be opened, ValueError as `Watch` does.

        `trusted` are hosts by cluster that are as good as healthy until they have been checked.
        """
        self._changes = Changes()
        self._tell = tell
        self._tools = tools
        self.memberships = {
            each.name: self._membership(each, trusted.get(each.name, ())) for each in clusters
        }
        self._watches = {name: Watch(each, tools) for name, each in self.memberships.items()}
        # Workers know what is configured: they need not be told.
        self._told = {
            name: each.told if not any(each.reasons(m.key) for m in each.members) else ()
            for name, each in self.memberships.items()
        }

    def _membership(self, cluster: Cluster, trusted: Collection[str]) -> Membership:
        checked, writer = bool(cluster.health_checks), self._tools.writer
        return Membership(cluster, writer, self._changes, checked=checked, trusted=trusted)

    async def run(self) -> None:
        """Keep the workers informed, until cancelled."""
        async with trio.open_nursery() as nursery:
            importing = trio.CapacityLimiter(1)
            for membership in self.memberships.values():
                for job in self._jobs(membership, importing):
                    nursery.start_soon(look_after, membership, job)
            await self._keep_telling()

    def _jobs(self, membership: Membership, importing: trio.CapacityLimiter) -> Iterator[Job]:
        """Yield what goes on beside a cluster for as long as it lives."""
        yield from self._watches[membership.name].jobs
        if (way := membership.config.discovery) is not None:
            yield partial(discover, membership, way, self._tools.rng, importing)

    def accuse(self, cluster: str, key: str, kind: EjectionType) -> None:
        """A worker saw a host fail too often in a row."""
        outliers = self._watches[cluster].outliers
        if outliers is not None:
            outliers.accuse(key, kind)

    def healthy(self) -> dict[str, tuple[str, ...]]:
        """Return the keys of the hosts that have passed their health checks, by cluster."""
        return {
            name: tuple(each.key for each in membership.members if UNTRIED.isdisjoint(each.flags))
            for name, membership in self.memberships.items()
            if membership.config.health_checks
        }

    def reopen_logs(self) -> None:
        """Open the event logs anew by name."""
        self._tools.logs.reopen()

    async def wait_ready(self) -> None:
        """Return when every required cluster is ready, and the workers know."""
        seen = self._changes.count
        while self.unready():
            seen = await self._changes.beyond(seen)

    def unready(self) -> dict[str, str]:
        """Return what is missing to each required cluster that is not ready, by its name."""
        return {
            name: missing
            for name, membership in self.memberships.items()
            if (missing := self._missing(membership))
        }

    def _missing(self, membership: Membership) -> str:
        if missing := shortcomings(membership):
            return missing
        told = self._told[membership.name] == membership.told
        if told or not membership.config.required:
            return ""
        return "the workers do not know its hosts yet"

    async def _keep_telling(self) -> None:
        seen = -1
        while True:
            seen = await self._changes.beyond(seen)
            if await self._tell_news():
                await trio.sleep(TOGETHER)
            else:
                await trio.sleep(TELL_AGAIN)
                seen = -1

    async def _tell_news(self) -> bool:
        """Tell the workers what they do not know yet; returns whether all of them heard it."""
        all_heard = True
        for name, membership in self.memberships.items():
            news = membership.told
            if news == self._told[name]:
                continue
            if await self._tell(name, news):
                self._told[name] = news
                self._changes.note()
            else:
                all_heard = False
        return all_heard


async def look_after(membership: Membership, job: Job) -> None:
    """Do a job; what goes wrong in it is logged and costs this cluster its news for a while."""
    while True:
        try:
            return await job()
        except Exception:
            name = membership.name
            log.exception("cluster %s is not looked after for %g s", name, BEGIN_AGAIN)
        await trio.sleep(BEGIN_AGAIN)
