"""How far a drain has come, and what is still to leave."""

from __future__ import annotations

from heapq import nlargest
from math import inf
from typing import TYPE_CHECKING

import trio

from trioproxy.drain.ladder import STAY
from trioproxy.drain.lifetime import Stand
from trioproxy.reactor.counts import bytes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trioproxy.drain.lifetime import Lifetime
    from trioproxy.filters.connection import Connection

    Living = Mapping[Lifetime, Connection | None]

MOST = 20  # connections that are told of one by one, by each worker and by all together
RUNGS = {
    Stand.IDLE: "idle",
    Stand.STREAM: "stream",
    Stand.STREAMS: "life",
    Stand.FLOW: "life",
    Stand.LIFE: "life",
}


def progress(living: Living) -> dict[str, object]:
    """Count connections: open, idle between requests, told to leave, about to move.

    Where some are to leave, `next` and `last` are the seconds until the first and the last of
    them have to be gone. `protocols` counts them by protocol, and then by `rung_of`.
    """
    now = trio.current_time()
    idle = told = moving = 0
    first, last = inf, -inf
    protocols: dict[str, dict[str, int]] = {}
    for lifetime, connection in living.items():
        idle += lifetime.stands is Stand.IDLE
        told += lifetime.ladder.notice <= now
        moving += lifetime.moving
        if lifetime.ladder is not STAY:
            first, last = min(first, lifetime.due), max(last, lifetime.ladder.life)
        if connection is not None:
            rungs = protocols.setdefault(connection.protocol, {})
            rung = rung_of(lifetime, now)
            rungs[rung] = rungs.get(rung, 0) + 1
    found: dict[str, object] = {"open": len(living), "idle": idle, "told": told, "moving": moving}
    if first < inf:
        found["next"] = max(first - now, 0.0)
    if -inf < last < inf:
        found["last"] = max(last - now, 0.0)
    return found | {"protocols": protocols}


def rung_of(lifetime: Lifetime, now: float) -> str:
    """Return what a connection is to come to: `move`, or a rung of its ladder; else it may `stay`.

    Once it was told to leave, that is the rung which bounds what it is in.
    """
    if lifetime.moving:
        return "move"
    if lifetime.ladder is STAY:
        return "stay"
    return "notice" if now < lifetime.ladder.notice else RUNGS[lifetime.stands]


def longest(living: Iterable[tuple[Lifetime, Connection | None]]) -> list[dict[str, object]]:
    """Return what is to be said of MOST connections: those that leave last, or else the oldest."""
    now = trio.current_time()
    begun = (item for item in living if item[1] is not None)
    found = nlargest(MOST, begun, key=_order)
    return [described(connection, now) for _, connection in found if connection is not None]


def _order(item: tuple[Lifetime, Connection | None]) -> tuple[float, float]:
    lifetime, _ = item
    return order(lifetime.due, lifetime.age, stays=lifetime.ladder is STAY)


def order(due: float, age: float, *, stays: bool) -> tuple[float, float]:
    """Return what is larger for who leaves later, or is older."""
    return inf if stays else due, age


def described(connection: Connection, now: float) -> dict[str, object]:
    """Return what is to be said of a connection, fit for JSON; `due` is in seconds from now."""
    lifetime = connection.lifetime
    received, sent = bytes_of(connection.transport.sock) or (None, None)
    return {
        "number": connection.id,
        "listener": connection.listener,
        "protocol": connection.protocol,
        "peer": connection.remote,
        "age": lifetime.age,
        "stands": lifetime.stands.value,
        "rung": rung_of(lifetime, now),
        "due": max(lifetime.due - now, 0.0) if lifetime.due < inf else None,
        "received": received,
        "sent": sent,
    }
