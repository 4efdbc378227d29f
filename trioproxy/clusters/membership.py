"""The hosts of one cluster: those that discovery lists, with what is thought of their health."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from trioproxy.clusters.changes import Changes
from trioproxy.clusters.naming import named
from trioproxy.stats.upstream import DiscoveryStats, MembershipStats
from trioproxy.upstream.member import (
    FAILED_ACTIVE_HC,
    PENDING_ACTIVE_HC,
    PENDING_DYNAMIC_REMOVAL,
    member,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trioproxy.config.cluster import Cluster
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.member import Member

log = logging.getLogger("trioproxy.clusters")

MOST_DEPARTED = 1000

AWAITING_CHECK = {FAILED_ACTIVE_HC: "not checked yet", PENDING_ACTIVE_HC: "not checked yet"}
"""How a host begins in a cluster with health checks: it is sent nothing until it passed one."""


class Membership:
    """One cluster as main knows it; `members` is what workers are told.

    A source of discovery calls `replace` and `fail`. Who watches over health awaits
    `listed.beyond(...)` for hosts that came or went, and calls `mark` and `clear`. `changes` counts
    whatever became different, `listed` only who is listed. `checked`: newcomers are sent nothing
    before `clear(key, FAILED_ACTIVE_HC)`, and hold up the start until
    `clear(key, PENDING_ACTIVE_HC)`, which says that their first round is over.
    """

    def __init__(
        self, cluster: Cluster, writer: Writer, changes: Changes, *, checked: bool = False
    ) -> None:
        self.config = cluster
        self.name = cluster.name
        self.changes = changes
        self.listed = Changes()
        self.failure = ""  # of the last attempt to find hosts
        self.discovered = False
        self._listing: dict[str, Member] = {}
        self._members: dict[str, Member] = {}
        self._departed: dict[str, Member] = {}
        self._newcomers = AWAITING_CHECK if checked else {}
        self._marks: dict[str, dict[str, str]] = {}
        self._stats = MembershipStats(writer, cluster.name)
        self._attempts = DiscoveryStats(writer, cluster.name)
        if cluster.endpoints:
            self._list(member(endpoint) for endpoint in cluster.endpoints)

    def __repr__(self) -> str:
        return f"<Membership {self.name} {len(self.members)} hosts>"

    def __contains__(self, key: str) -> bool:
        return key in self._members

    @property
    def members(self) -> tuple[Member, ...]:
        """The hosts with their flags, in the order of the list."""
        return tuple(self._members.values())

    @property
    def departed(self) -> tuple[Member, ...]:
        """The last hosts that left, who may still have connections; the workers do not tell."""
        return tuple(self._departed.values())

    def attempt(self) -> None:
        """Count an attempt to find hosts; `replace` or `fail` says how it ended."""
        self._attempts.update_attempt.add()

    def replace(self, listing: Iterable[Member]) -> None:
        """These are the hosts now, each once; of two with the same key the first counts."""
        self._attempts.update_success.add()
        if self.failure:
            log.info("cluster %s: discovery works again", self.name)
            self.failure = ""
        if not self._list(listing):
            self._attempts.update_no_rebuild.add()
        if not self._listing:
            self._attempts.update_empty.add()

    def fail(self, reason: str) -> None:
        """The hosts were not found this time; those that were known stay."""
        self._attempts.update_failure.add()
        if reason != self.failure:
            log.warning("cluster %s: %s; %s", self.name, reason, self._what_stays())
        self.failure = reason
        self.changes.note()

    def mark(self, key: str, flag: str, reason: str) -> None:
        """Raise one of the flags of the host with that `key`, or give a raised one another reason.

        Nothing happens where it is no member any more.
        """
        marks = self._marks.get(key)
        if marks is not None and marks.get(flag) != reason:
            marks[flag] = reason
            self._set_flags(key)

    def clear(self, key: str, flag: str) -> None:
        """Lower one of the flags of a host."""
        marks = self._marks.get(key)
        if marks is not None and marks.pop(flag, None) is not None:
            self._set_flags(key)

    def reasons(self, key: str) -> Mapping[str, str]:
        """Return why which flags of a host are raised."""
        return self._marks.get(key, {})

    def _list(self, listing: Iterable[Member]) -> bool:
        """List these; returns whether that is any different from before."""
        listed: dict[str, Member] = {}
        for each in listing:
            listed.setdefault(each.key, each)
        if self.discovered and [*listed.values()] == [*self._listing.values()]:
            return False
        if not self.config.endpoints:
            log.info("cluster %s: %s", self.name, difference(self._listing, listed))
        self.discovered = True
        self._see_off(self._listing, listed)
        self._listing = listed
        self._marks = {key: self._marks.get(key, {**self._newcomers}) for key in listed}
        self._members = {key: self._flagged(key) for key in listed}
        self._stats.membership_change.add()
        self._note()
        self.listed.note()
        return True

    def _see_off(self, before: Mapping[str, Member], now: Mapping[str, Member]) -> None:
        leaving = {
            key: attrs.evolve(each, flags=(PENDING_DYNAMIC_REMOVAL,))
            for key, each in {**self._departed, **before}.items()
            if key not in now
        }
        self._departed = dict([*leaving.items()][-MOST_DEPARTED:])

    def _set_flags(self, key: str) -> None:
        self._members[key] = self._flagged(key)
        self._note()

    def _flagged(self, key: str) -> Member:
        host = self._listing[key]
        return attrs.evolve(host, flags=tuple(sorted({*host.flags, *self._marks[key]})))

    def _note(self) -> None:
        healthy = [each for each in self._members.values() if each.healthy]
        self._stats.membership_total.set(len(self._members))
        self._stats.membership_healthy.set(len(healthy))
        self._stats.membership_degraded.set(sum(each.degraded for each in healthy))
        self.changes.note()

    def _what_stays(self) -> str:
        count = len(self.members)
        return f"its {count} hosts stay" if self.discovered else "it has no hosts yet"


def difference(before: Mapping[str, Member], now: Mapping[str, Member]) -> str:
    """Say how many hosts there are, who came, who left and who is not listed as before."""
    changed = [key for key in before.keys() & now.keys() if before[key] != now[key]]
    words = [
        ("came", [key for key in now if key not in before]),
        ("left", [key for key in before if key not in now]),
        ("changed", changed),
    ]
    return "; ".join(
        [f"{len(now)} hosts", *(f"{word}: {named(keys)}" for word, keys in words if keys)]
    )
