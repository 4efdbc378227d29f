"""What a generation tells of its connections: to its own admin interface, and to its child's."""

from __future__ import annotations

from heapq import nlargest
from math import inf
from typing import TYPE_CHECKING, TypedDict, cast

from trioproxy.listener.progress import MOST, order
from trioproxy.restart.protocol import Listening, Progress, Speaking, Standing
from trioproxy.restart.wire import structure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trioproxy.server.generation import Generation


async def progress_of(generation: Generation) -> Progress:
    """Ask all workers; returns what they have between them."""
    reports = await generation.supervisor.gather()
    shares = [cast("Shares", report.get("listeners", {})) for report in reports.values()]
    offers = [cast("Offers", report["offers"]) for report in reports.values() if "offers" in report]
    names = [listener.name for listener in generation.config.listeners]
    return Progress(
        epoch=generation.epoch,
        phase=", ".join(filter(None, [generation.phase.value, generation.admin_drain.note])),
        listeners=tuple(
            summed(name, [each[name] for each in shares if name in each]) for name in names
        ),
        begun_with=generation.begun_with,
        moved=sum(each["moved"] for each in offers),
        declined=sum(each["declined"] for each in offers),
        connections=tuple(longest(reports)),
    )


class Share(TypedDict, total=False):
    """What a worker reports of its connections at one listener."""

    open: int
    idle: int
    told: int
    moving: int
    next: float
    last: float
    protocols: dict[str, dict[str, int]]


Shares = dict[str, Share]
Offers = dict[str, int]


def summed(name: str, shares: Sequence[Share]) -> Listening:
    """Return the sum of the workers' shares in one listener, the first and the last moment."""
    protocols = sorted({protocol for share in shares for protocol in share["protocols"]})
    return Listening(
        name,
        open=sum(share["open"] for share in shares),
        idle=sum(share["idle"] for share in shares),
        told=sum(share["told"] for share in shares),
        moving=sum(share["moving"] for share in shares),
        next=min((share["next"] for share in shares if "next" in share), default=None),
        last=max((share["last"] for share in shares if "last" in share), default=None),
        protocols=tuple(speaking(protocol, shares) for protocol in protocols),
    )


def speaking(protocol: str, shares: Sequence[Share]) -> Speaking:
    """Return the sum of the workers' shares in one protocol at one listener."""
    counts: dict[str, int] = {}
    for share in shares:
        for rung, count in share["protocols"].get(protocol, {}).items():
            counts[rung] = counts.get(rung, 0) + count
    return Speaking(protocol, **counts)


def longest(reports: Mapping[int, Mapping[str, object]]) -> list[Standing]:
    """Return MOST of those connections that each worker found to leave last, or to be oldest."""
    found = [
        cast("Standing", structure(Standing, {"worker": worker, **each}))
        for worker, report in reports.items()
        for each in cast("list[dict[str, object]]", report.get("connections", []))
    ]
    return nlargest(MOST, found, key=_order)


def _order(standing: Standing) -> tuple[float, float]:
    due = inf if standing.due is None else standing.due
    return order(due, standing.age, stays=standing.rung == "stay")
