"""What a generation tells of its connections: to its own admin interface, and to its child's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from trioproxy.restart.protocol import Listening, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trioproxy.server.generation import Generation


async def progress_of(generation: Generation) -> Progress:
    """Ask all workers; returns what they have between them."""
    reports = await generation.supervisor.gather()
    shares = [cast("Shares", report.get("listeners", {})) for report in reports.values()]
    names = [listener.name for listener in generation.config.listeners]
    return Progress(
        epoch=generation.epoch,
        phase=", ".join(filter(None, [generation.phase.value, generation.admin_drain.note])),
        listeners=tuple(summed(name, (each.get(name, {}) for each in shares)) for name in names),
    )


Shares = dict[str, dict[str, float]]


def summed(name: str, shares: Iterable[Mapping[str, float]]) -> Listening:
    """Return the sum of the workers' shares in one listener, the first and the last moment."""
    every = list(shares)
    counts = {
        field: int(sum(share.get(field, 0) for share in every))
        for field in ("open", "idle", "told", "moving")
    }
    following = [share["next"] for share in every if "next" in share]
    last = [share["last"] for share in every if "last" in share]
    return Listening(
        name, **counts, next=min(following, default=None), last=max(last, default=None)
    )
