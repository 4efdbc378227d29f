"""What a generation gives up for the next one, and takes back if that one dies."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from trioproxy.restart.channel import channel_pair
from trioproxy.server.closing import close, reopen
from trioproxy.server.generation import Phase
from trioproxy.server.messages import Accept, Drain, Resume
from trioproxy.server.sockets import Sharer

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator, Sequence

    from trioproxy.server.generation import Generation
    from trioproxy.server.sockets import Bound

log = logging.getLogger("trioproxy.main")


@contextmanager
def passing_on(generation: Generation) -> Iterator[Sequence[Bound]]:
    """All listen sockets, which another process has, too, for the time being.

    If this ends by an error, it has not got them any more.
    """
    sockets = generation.passable
    generation.admin_drain.lend()
    for bound in sockets:
        bound.sharers.add(Sharer.CHILD)
    try:
        yield sockets
    except Exception:
        for bound in sockets:
            bound.sharers.discard(Sharer.CHILD)
        if generation.ending.asked.is_set():
            generation.sockets.refuse()
        else:
            reopen(sockets)
            generation.admin_drain.take_back()
        raise


@asynccontextmanager
async def giving_way(
    generation: Generation, removed: Sequence[Bound], life: float
) -> AsyncIterator[None]:
    """Accept no more and drain; an error ends it in serving as before, if we are to serve at all.

    Connects to the `removed` sockets are refused. What is left after `life` seconds is cut.
    """
    try:
        await _close(generation, removed)
        await _drain(generation, life)
        yield
    except Exception:
        if not generation.ending.asked.is_set():
            await _come_back(generation, removed)
        raise


async def open_hand_over(generation: Generation) -> list[socket.socket]:
    """Have each worker offer its connections once it drains; returns where offers come out."""
    pairs = [channel_pair() for _ in range(generation.options.concurrency)]
    await generation.supervisor.hand_over([inner for inner, _ in pairs])
    return [outer for _, outer in pairs]


async def _close(generation: Generation, removed: Sequence[Bound]) -> None:
    """Leave accepting to the next generation, and have nobody accept what it does not want."""
    for bound in removed:
        bound.sharers.discard(Sharer.CHILD)
    await close(generation.supervisor, removed)
    generation.admin_door.close()
    generation.control_door.close()


async def _drain(generation: Generation, life: float) -> None:
    drain = generation.config.drain
    life = min(life, drain.parent_shutdown_time)
    immediate = drain.strategy == "immediate"
    generation.enter(Phase.DRAINING)
    await generation.supervisor.tell(Drain(drain.time, life, immediate=immediate))
    generation.notifier.tell(STOPPING=1, X_TRIOPROXY_GONE_IN=life)


async def _come_back(generation: Generation, removed: Sequence[Bound]) -> None:
    reopen(removed)
    await generation.supervisor.tell(Resume())
    if not generation.admin_drain.closed:
        await generation.supervisor.tell(Accept())
    generation.admin_door.open()
    generation.control_door.open()
    generation.enter(Phase.SERVING)
    generation.notifier.tell(READY=1)
