"""What is missing to a cluster before requests may be sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.upstream.member import PENDING_ACTIVE_HC

if TYPE_CHECKING:
    from trioproxy.clusters.membership import Membership
    from trioproxy.upstream.member import Member

MOST_NAMED = 10  # hosts in one message


def shortcomings(membership: Membership) -> str:
    """Return what is missing to a cluster, host by host; nothing where it is ready."""
    if not membership.discovered:
        return membership.failure or "its hosts are not known yet"
    unchecked = [each for each in membership.members if PENDING_ACTIVE_HC in each.flags]
    if unchecked:
        return f"not checked yet: {named(membership, unchecked)}"
    return ""


def named(membership: Membership, hosts: list[Member]) -> str:
    """Return the addresses of some hosts, each with what speaks against it."""
    said = [
        f"{each.address} ({'; '.join(sorted(set(membership.reasons(each.key).values())))})"
        for each in hosts[:MOST_NAMED]
    ]
    more = len(hosts) - len(said)
    return ", ".join([*said, f"and {more} more"] if more else said)
