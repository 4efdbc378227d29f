"""Which way the hosts of a cluster are found; what that takes is imported where it is needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from trioproxy.clusters.finding import Find, Pace, keep_finding

if TYPE_CHECKING:
    from random import Random

    from trioproxy.clusters.membership import Membership
    from trioproxy.config.discovery import Discovery, LogicalDns, PolledUrl, StrictDns

Job: TypeAlias = Callable[[], Awaitable[None]]
"""What goes on beside a cluster for as long as it lives."""


def discovery(membership: Membership, config: Discovery, rng: Random) -> Job:
    """Return what finds the hosts of a cluster and keeps the membership up to date."""
    if config.file is not None:
        from trioproxy.clusters.by_file import keep_reading

        return partial(keep_reading, membership, config.file)
    way = config.http or config.strict_dns or config.logical_dns
    assert way is not None
    return partial(keep_finding, membership, finder(way), Pace(way.refresh, rng))


def finder(way: PolledUrl | StrictDns | LogicalDns) -> Find:
    """Return what looks for hosts in that way."""
    from trioproxy.config.discovery import PolledUrl, StrictDns

    if isinstance(way, PolledUrl):
        from trioproxy.clusters.by_http import Polled

        return Polled(way)
    from trioproxy.clusters.by_dns import AddressOfTheDay, EveryAddress
    from trioproxy.clusters.resolver import Resolver

    resolver = Resolver(way.resolvers, way.timeout)
    if isinstance(way, StrictDns):
        return EveryAddress(way, resolver)
    return AddressOfTheDay(way, resolver)
