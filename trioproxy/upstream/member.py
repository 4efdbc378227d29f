"""A member of a cluster as main knows it and tells the workers: plain values, fit for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioproxy.config.endpoint import Endpoint

FAILED_ACTIVE_HC = "failed_active_hc"
FAILED_OUTLIER_CHECK = "failed_outlier_check"
FAILED_EDS_HEALTH = "failed_eds_health"
DEGRADED_EDS_HEALTH = "degraded_eds_health"
PENDING_ACTIVE_HC = "pending_active_hc"
PENDING_DYNAMIC_REMOVAL = "pending_dynamic_removal"

FAILED = frozenset({FAILED_ACTIVE_HC, FAILED_OUTLIER_CHECK, FAILED_EDS_HEALTH})
UNTRIED = frozenset({FAILED_ACTIVE_HC, PENDING_ACTIVE_HC})

FLAG_OF_STATUS = {
    "healthy": (),
    "degraded": (DEGRADED_EDS_HEALTH,),
    "unhealthy": (FAILED_EDS_HEALTH,),
    "draining": (FAILED_EDS_HEALTH,),
}


@attrs.frozen
class Place:
    """Where a host stands, and its locality's share beside others; 0: by the hosts' weights."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""
    weight: int = 0


@attrs.frozen
class Member:
    """A host of a cluster: its address as text, its share, and its health as Envoy's flags.

    `flags` are sorted. `metadata` holds scalars alone. Where `logical` is set, the host is whoever
    has that name: it stays the same, with its connections, when its address changes.
    """

    address: str
    weight: int = 1
    hostname: str = ""
    priority: int = 0
    locality: Place = Place()
    metadata: dict[str, object] = attrs.Factory(dict)
    flags: tuple[str, ...] = ()
    logical: str = ""

    @property
    def key(self) -> str:
        """What it is known by as long as it is a member."""
        return self.logical or self.address

    @property
    def healthy(self) -> bool:
        """Whether nothing speaks against sending it requests."""
        return FAILED.isdisjoint(self.flags)

    @property
    def unknown(self) -> bool:
        """Whether it was neither checked yet nor taken for healthy as the parent knew it."""
        return UNTRIED.issubset(self.flags)

    @property
    def degraded(self) -> bool:
        """Whether it serves only for want of others of its priority."""
        return DEGRADED_EDS_HEALTH in self.flags


def member(endpoint: Endpoint) -> Member:
    """Return what a configured endpoint is a member as."""
    place = endpoint.locality
    return Member(
        str(endpoint.address),
        endpoint.weight,
        endpoint.hostname or "",
        endpoint.priority,
        Place(place.region, place.zone, place.sub_zone, place.weight or 0),
        dict(endpoint.metadata),
        FLAG_OF_STATUS[endpoint.health_status],
    )


Row: TypeAlias = dict[str, object]
"""A member as JSON: what is different from `Member("")`."""


def pack(members: Iterable[Member]) -> tuple[Row, ...]:
    """Return members as short as they can be said: a thousand are told at every change."""
    return tuple(_different(each, PLAIN) for each in members)


def unpack(rows: Iterable[Row]) -> tuple[Member, ...]:
    """Return the members that `pack` was given; what comes from main is taken at its word."""
    return tuple(map(_member, rows))


def _different(value: Member | Place, plain: Member | Place) -> Row:
    row: Row = {}
    for field in FIELDS[type(value)]:
        held = getattr(value, field)
        if held != getattr(plain, field):
            row[field] = _different(held, PLAIN.locality) if isinstance(held, Place) else held
    return row


def _member(row: dict[str, Any]) -> Member:
    """Return what a row says; any of its values may be of any type."""
    place, flags = row.get("locality"), row.get("flags", ())
    return Member(
        **row | {"locality": Place(**place) if place else PLAIN.locality, "flags": tuple(flags)}
    )


PLAIN = Member("")
FIELDS = {kind: [field.name for field in attrs.fields(kind)] for kind in (Member, Place)}
