"""The hosts of one cluster: those that discovery lists, with what is thought of their health."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from trioproxy.clusters.changes import Changes
from trioproxy.stats.upstream import DiscoveryStats, MembershipStats
from trioproxy.upstream.member import FAILED_ACTIVE_HC, PENDING_ACTIVE_HC, member

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trioproxy.config.cluster import Cluster
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.member import Member

log = logging.getLogger("trioproxy.clusters")

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
        self.members: tuple[Member, ...] = ()
        self._listing: tuple[Member, ...] = ()
        self._newcomers = AWAITING_CHECK if checked else {}
        self._marks: dict[str, dict[str, str]] = {}
        self._stats = MembershipStats(writer, cluster.name)
        self._attempts = DiscoveryStats(writer, cluster.name)
        if cluster.endpoints:
            self._list(member(endpoint) for endpoint in cluster.endpoints)

    def __repr__(self) -> str:
        return f"<Membership {self.name} {len(self.members)} hosts>"

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
            self._rebuild()

    def clear(self, key: str, flag: str) -> None:
        """Lower one of the flags of a host."""
        marks = self._marks.get(key)
        if marks is not None and marks.pop(flag, None) is not None:
            self._rebuild()

    def reasons(self, key: str) -> Mapping[str, str]:
        """Return why which flags of a host are raised."""
        return self._marks.get(key, {})

    def _list(self, listing: Iterable[Member]) -> bool:
        """List these; returns whether that is any different from before."""
        distinct: dict[str, Member] = {}
        for each in listing:
            distinct.setdefault(each.key, each)
        listed = tuple(distinct.values())
        if self.discovered and listed == self._listing:
            return False
        self.discovered = True
        self._listing = listed
        self._marks = {key: self._marks.get(key, {**self._newcomers}) for key in distinct}
        self._stats.membership_change.add()
        self._rebuild()
        self.listed.note()
        return True

    def _rebuild(self) -> None:
        self.members = tuple(
            attrs.evolve(each, flags=tuple(sorted({*each.flags, *self._marks[each.key]})))
            for each in self._listing
        )
        self._stats.membership_total.set(len(self.members))
        self._stats.membership_healthy.set(sum(each.healthy for each in self.members))
        self._stats.membership_degraded.set(
            sum(each.healthy and each.degraded for each in self.members)
        )
        self.changes.note()

    def _what_stays(self) -> str:
        count = len(self.members)
        return f"its {count} hosts stay" if self.discovered else "it has no hosts yet"
