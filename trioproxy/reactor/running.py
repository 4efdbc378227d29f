"""A reactor that runs for as long as a block lasts."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from trioproxy.reactor.epoll import Reactor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def open_reactor() -> AsyncIterator[Reactor]:
    """A running reactor; leaving the block stops it."""
    reactor = Reactor()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reactor.run)
            yield reactor
            nursery.cancel_scope.cancel()
    finally:
        reactor.close()
