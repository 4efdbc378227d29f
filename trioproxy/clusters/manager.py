"""All clusters as main runs them: finds hosts, watches over them, tells the workers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import trio

from trioproxy.clusters.changes import Changes
from trioproxy.clusters.discovery import discovery
from trioproxy.clusters.membership import Membership
from trioproxy.clusters.readiness import shortcomings

if TYPE_CHECKING:
    from random import Random

    from trioproxy.clusters.discovery import Job
    from trioproxy.config.cluster import Cluster
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.member import Member

log = logging.getLogger("trioproxy.clusters")

TELL_AGAIN = 1.0  # seconds after which those who were too busy to listen are told again

Tell: TypeAlias = Callable[[str, Sequence["Member"]], Awaitable[bool]]
"""Tells all workers, those to come included, the name of a cluster and all of its hosts.

Returns whether all of them heard it.
"""


class ClusterManager:
    """Runs what each cluster needs, in main alone: a worker never resolves or probes."""

    def __init__(
        self, clusters: Sequence[Cluster], writer: Writer, rng: Random, tell: Tell
    ) -> None:
        self._changes = Changes()
        self._rng = rng
        self._tell = tell
        self.memberships = {each.name: Membership(each, writer, self._changes) for each in clusters}
        # Workers know what is configured: they need not be told.
        self._told = {
            name: each.members if not any(each.reasons(m.key) for m in each.members) else ()
            for name, each in self.memberships.items()
        }

    async def run(self) -> None:
        """Keep the workers informed, until cancelled."""
        async with trio.open_nursery() as nursery:
            for membership in self.memberships.values():
                for job in jobs(membership, self._rng):
                    nursery.start_soon(look_after, membership, job)
            await self._keep_telling()

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
        told = self._told[membership.name] == membership.members
        if told or not membership.config.required:
            return ""
        return "the workers do not know its hosts yet"

    async def _keep_telling(self) -> None:
        seen = -1
        while True:
            seen = await self._changes.beyond(seen)
            if not await self._tell_news():
                await trio.sleep(TELL_AGAIN)
                seen = -1

    async def _tell_news(self) -> bool:
        """Tell the workers what they do not know yet; returns whether all of them heard it."""
        all_heard = True
        for name, membership in self.memberships.items():
            news = membership.members
            if self._told[name] == news:
                continue
            if await self._tell(name, news):
                self._told[name] = news
                self._changes.note()
            else:
                all_heard = False
        return all_heard


def jobs(membership: Membership, rng: Random) -> Iterator[Job]:
    """Yield what goes on beside a cluster for as long as it lives."""
    if membership.config.discovery is not None:
        yield discovery(membership, membership.config.discovery, rng)


async def look_after(membership: Membership, job: Job) -> None:
    """Do a job; what goes wrong in it is logged and costs this cluster its news alone."""
    try:
        await job()
    except Exception:
        log.exception("cluster %s is looked after no more", membership.name)
