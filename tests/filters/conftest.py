from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from trioproxy.codec.h1 import Codec
from trioproxy.drain.sweep import Sweep
from trioproxy.filters.http.routing import RouteTable
from trioproxy.filters.http.tools import HttpTools
from trioproxy.filters.testing import Hands
from trioproxy.filters.tools import Tools
from trioproxy.reactor.epoll import Reactor
from trioproxy.reactor.pipes import PipePool
from trioproxy.stats.downstream import HttpStats
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture
def region() -> Iterator[Region]:
    with Region.create() as region:
        yield region


@pytest.fixture
async def http_tools(region: Region) -> AsyncIterator[HttpTools]:
    """What a connection manager `web` without routes lends its filters."""
    reactor = Reactor()
    with region.claim(0, 0) as writer, PipePool() as pipes:
        worker = Tools(
            reactor=reactor,
            sweep=Sweep(Hands()),
            pipes=pipes,
            stats=writer,
            rng=random.Random(1),
            clusters={},
            access_log=lambda _config: lambda _record: None,
            wall_clock=lambda: 0.0,
        )
        yield HttpTools(
            worker=worker,
            codec=Codec(),
            routes=RouteTable([]),
            stats=HttpStats(writer, "web"),
            scope="http.web",
            upgrades=frozenset(),
            tunnel_idle_timeout=1.0,
            websocket_close_code=1012,
        )
    reactor.close()


@pytest.fixture
def counted(region: Region) -> Iterator[Callable[[str], int]]:
    """Look up a counter or gauge."""
    with Reader(region, 0) as reader:

        def counted(name: str) -> int:
            snapshot = reader.snapshot()
            return {**snapshot.counters, **snapshot.gauges}[name]

        yield counted
