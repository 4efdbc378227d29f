"""The hosts of one cluster: those that discovery lists, with what is thought of their health."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import attrs

from trioproxy.clusters.changes import Changes
from trioproxy.clusters.naming import named
from trioproxy.clusters.success_rates import Comparison
from trioproxy.restart.packets import LARGEST_MESSAGE
from trioproxy.stats.upstream import DiscoveryStats, MembershipStats
from trioproxy.upstream.member import (
    FAILED_ACTIVE_HC,
    PENDING_ACTIVE_HC,
    PENDING_DYNAMIC_REMOVAL,
    member,
    pack,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from trioproxy.config.cluster import Cluster
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.member import Member

log = logging.getLogger("trioproxy.clusters")

MOST_DEPARTED = 1000
LARGEST_LIST = LARGEST_MESSAGE - 2**20  # bytes; the message has a name, too
FLAGS_ROOM = 150  # bytes that the flags of a host may come to

AWAITING_CHECK = {FAILED_ACTIVE_HC: "not checked yet", PENDING_ACTIVE_HC: "not checked yet"}
"""How a host begins in a cluster with health checks: it is sent nothing until it passed one."""


class Membership:
    """One cluster as main knows it; `members` are who is listed, `told` whom workers know.

    A source of discovery calls `replace` and `fail`. Who watches over health awaits
    `listed.beyond(...)` for hosts that came or went, and calls `mark` and `clear`. `changes` counts
    whatever became different, `listed` only who is listed. `checked`: newcomers are sent nothing
    before `clear(key, FAILED_ACTIVE_HC)`, and hold up the start until
    `clear(key, PENDING_ACTIVE_HC)`, which says that their first round is over. Those among the
    first hosts whose keys are `trusted` are sent requests meanwhile. Where outliers are
    looked for, `success_rates` is how the hosts compared in the last interval.
    """

    def __init__(
        self,
        cluster: Cluster,
        writer: Writer,
        changes: Changes,
        *,
        checked: bool = False,
        trusted: Collection[str] = (),
    ) -> None:
        """Raises ValueError where too many hosts are configured to be told to the workers."""
        self.config = cluster
        self.name = cluster.name
        self.changes = changes
        self.listed = Changes()
        self.success_rates = self.local_success_rates = Comparison()
        self.failure = ""  # of the last attempt to find hosts
        self.discovered = False
        self._listing: dict[str, Member] = {}
        self._members: dict[str, Member] = {}
        self._departed: dict[str, Member] = {}
        self._stand_ins: list[Member] = []
        self._newcomers = AWAITING_CHECK if checked else {}
        self._trusted = trusted
        self._marks: dict[str, dict[str, str]] = {}
        self._stats = MembershipStats(writer, cluster.name)
        self._attempts = DiscoveryStats(writer, cluster.name)
        if cluster.endpoints:
            configured = {each.key: each for each in map(member, cluster.endpoints)}
            if excess := self._excess(configured.values()):
                raise ValueError(f"cluster {self.name}: {excess}")
            self._list(configured)

    def __repr__(self) -> str:
        return f"<Membership {self.name} {len(self.members)} hosts>"

    def __contains__(self, key: str) -> bool:
        return key in self._members

    @property
    def members(self) -> tuple[Member, ...]:
        """The hosts with their flags, in the order of the list."""
        return tuple(self._members.values())

    @property
    def told(self) -> tuple[Member, ...]:
        """What workers are told: the hosts, and with them who left well and stands in.

        Where all hosts leave at once, the newcomers have not been checked yet. So those who left
        go on until a first one of them is found to be well, or all of them to be ill.
        """
        return (*self._members.values(), *self._stand_ins)

    @property
    def departed(self) -> tuple[Member, ...]:
        """The last hosts that left, who may still have connections; the workers do not tell."""
        return tuple(self._departed.values())

    def attempt(self) -> None:
        """Count an attempt to find hosts; `replace` or `fail` says how it ended."""
        self._attempts.update_attempt.add()

    def replace(self, listing: Iterable[Member]) -> None:
        """These are the hosts now, each once; of two with the same key the first counts.

        A list that may become too long to be told to the workers changes nothing.
        """
        listed: dict[str, Member] = {}
        for each in listing:
            listed.setdefault(each.key, each)
        changed = not self.discovered or [*listed.values()] != [*self._listing.values()]
        if changed and (excess := self._excess(listed.values())):
            self.fail(excess)
            return
        self._count(changed=changed, empty=not listed)
        if self.failure:
            log.info("cluster %s: discovery works again", self.name)
            self.failure = ""
        if changed:
            self._list(listed)

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

    def _excess(self, listed: Collection[Member]) -> str:
        """Say by how much a list is too long, with all the flags that may be raised; or nothing."""
        size = len(json.dumps(pack(listed)))
        if self.config.health_checks or self.config.outlier_detection is not None:
            size += FLAGS_ROOM * len(listed)
        if size <= LARGEST_LIST:
            return ""
        return f"a list of {len(listed)} hosts in {size} bytes; {LARGEST_LIST} are the most"

    def _count(self, *, changed: bool, empty: bool) -> None:
        self._attempts.update_success.add()
        if not changed:
            self._attempts.update_no_rebuild.add()
        if empty:
            self._attempts.update_empty.add()

    def _list(self, listed: dict[str, Member]) -> None:
        """List these from now on."""
        if not self.config.endpoints:
            self._log_news(listed)
        self.discovered = True
        self._see_off(self._listing, listed)
        self._listing = listed
        known, before = self._marks, self.told
        self._marks = {key: known.get(key, self._first_marks(key)) for key in listed}
        self._trusted = ()
        self._members = {key: self._flagged(key) for key in listed}
        self._stand_ins = [each for each in before if each.healthy and each.key not in listed]
        self._dismiss()
        if self._stand_ins and self._excess(self.told):
            self._stand_ins = []
        self._stats.membership_change.add()
        self._set_gauges()
        self.changes.note()
        self.listed.note()

    def _dismiss(self) -> None:
        """Let go of who stands in, unless all depends on checks that are still to come."""
        hosts = self._members.values()
        awaited = any(PENDING_ACTIVE_HC in each.flags for each in hosts)
        if not awaited or any(each.healthy for each in hosts):
            self._stand_ins = []

    def _log_news(self, listed: Mapping[str, Member]) -> None:
        # A logical host may have another address at each look: that is no news.
        moved = listed.keys() == self._listing.keys() and any(m.logical for m in listed.values())
        level = logging.DEBUG if moved else logging.INFO
        log.log(level, "cluster %s: %s", self.name, difference(self._listing, listed))

    def _see_off(self, before: Mapping[str, Member], now: Mapping[str, Member]) -> None:
        leaving = {
            key: attrs.evolve(each, flags=(PENDING_DYNAMIC_REMOVAL,))
            for key, each in {**self._departed, **before}.items()
            if key not in now
        }
        self._departed = dict([*leaving.items()][-MOST_DEPARTED:])

    def _first_marks(self, key: str) -> dict[str, str]:
        marks = {**self._newcomers}
        if key in self._trusted:
            marks.pop(FAILED_ACTIVE_HC, None)
        return marks

    def _set_flags(self, key: str) -> None:
        before, now = self._members[key], self._flagged(key)
        self._members[key] = now
        if self._stand_ins:
            self._dismiss()
        self._stats.membership_healthy.add(now.healthy - before.healthy)
        self._stats.membership_degraded.add(serves_in_need(now) - serves_in_need(before))
        self.changes.note()

    def _flagged(self, key: str) -> Member:
        host = self._listing[key]
        return attrs.evolve(host, flags=tuple(sorted({*host.flags, *self._marks[key]})))

    def _set_gauges(self) -> None:
        members = self._members.values()
        self._stats.membership_total.set(len(members))
        self._stats.membership_healthy.set(sum(each.healthy for each in members))
        self._stats.membership_degraded.set(sum(map(serves_in_need, members)))

    def _what_stays(self) -> str:
        return "its hosts stay" if self.discovered else "it has no hosts yet"


def serves_in_need(host: Member) -> bool:
    """Whether it is sent requests only for want of others."""
    return host.healthy and host.degraded


def difference(before: Mapping[str, Member], now: Mapping[str, Member]) -> str:
    """Say how many hosts there are, who came, who left and who is not listed as before."""
    changed = [key for key in before.keys() & now.keys() if before[key] != now[key]]
    words = [
        ("came", [key for key in now if key not in before]),
        ("left", [key for key in before if key not in now]),
        ("changed", changed),
    ]
    return "; ".join(
        [f"hosts: {len(now)}", *(f"{word}: {named(keys)}" for word, keys in words if keys)]
    )
