"""What is missing to a cluster before requests may be sent to it."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from trioproxy.clusters.naming import named
from trioproxy.upstream.member import PENDING_ACTIVE_HC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioproxy.clusters.membership import Membership
    from trioproxy.upstream.member import Member


def shortcomings(membership: Membership) -> str:
    """Return what is missing to a cluster, host by host; nothing where it is ready.

    One that is not required lacks nothing.
    """
    if not membership.config.required:
        return ""
    if not membership.discovered:
        return membership.failure or "its hosts are not known yet"
    unchecked = [each for each in membership.members if PENDING_ACTIVE_HC in each.flags]
    if unchecked:
        return accused(membership, unchecked)
    return want_of_health(membership)


def want_of_health(membership: Membership) -> str:
    """Say which hosts would have to be healthy, if too few are."""
    if is_healthy(membership):
        return ""
    total = len(membership.members)
    if not total:
        return membership.failure or "it has no hosts"
    ill = [each for each in membership.members if not each.healthy]
    said = f"{total - len(ill)} of {total} hosts healthy, {needed(membership)} needed"
    return f"{said}: {accused(membership, ill)}"


def is_healthy(membership: Membership) -> bool:
    """Whether as many hosts are healthy as have to be."""
    return sum(each.healthy for each in membership.members) >= needed(membership)


def needed(membership: Membership) -> int:
    """Return how many hosts have to be healthy: one at least."""
    share = membership.config.min_healthy * len(membership.members)
    return max(1, ceil(round(share, 6)))  # 7 % of 100 are not 7.000000000000001


def accused(membership: Membership, hosts: Sequence[Member]) -> str:
    """Return the addresses of some hosts, each with what speaks against it."""
    return named(hosts, lambda host: f"{host.address} ({', '.join(why(membership, host))})")


def why(membership: Membership, host: Member) -> list[str]:
    """Return what speaks against a host: reasons, or for want of them the flags."""
    return sorted(set(membership.reasons(host.key).values())) or list(host.flags)
