"""Which way the hosts of a cluster are found; what that takes is imported where it is needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import trio

from trioproxy.clusters.finding import Find, Pace, keep_finding

if TYPE_CHECKING:
    from random import Random

    from trioproxy.clusters.membership import Membership
    from trioproxy.config.discovery import Discovery, LogicalDns, PolledUrl, StrictDns

Job: TypeAlias = Callable[[], Awaitable[None]]
"""What goes on beside a cluster for as long as it lives."""


async def discover(
    membership: Membership, config: Discovery, rng: Random, importing: trio.CapacityLimiter
) -> None:
    """Find the hosts of a cluster and keep the membership up to date, until cancelled.

    What that takes is imported in a thread, while workers start; `importing` has it done by one
    thread at a time.
    """
    if config.file is not None:
        from trioproxy.clusters.by_file import keep_reading

        return await keep_reading(membership, config.file)
    way = config.http or config.strict_dns or config.logical_dns
    assert way is not None
    find = await trio.to_thread.run_sync(finder, way, limiter=importing)
    await keep_finding(membership, find, Pace(way.refresh, rng))


def finder(way: PolledUrl | StrictDns | LogicalDns) -> Find:
    """Return what looks for hosts in that way; imports what it takes."""
    from trioproxy.config.discovery import PolledUrl, StrictDns

    if isinstance(way, PolledUrl):
        from trioproxy.clusters.by_http import UrlFinder

        return UrlFinder(way)
    from trioproxy.clusters.by_dns import LogicalFinder, StrictFinder
    from trioproxy.clusters.resolver import Resolver

    resolver = Resolver(way.resolvers, way.timeout)
    if isinstance(way, StrictDns):
        return StrictFinder(way, resolver)
    return LogicalFinder(way, resolver)
