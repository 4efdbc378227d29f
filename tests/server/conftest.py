"""What the tests of main and workers start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.stand_ins import Diaries, TaskChildren
from trioproxy.config.address import Address
from trioproxy.server.log import ProcessLog
from trioproxy.server.sockets import Wanted, open_sockets
from trioproxy.server.supervisor import Crew, Supervisor
from trioproxy.stats.region import Region
from trioproxy.stats.writer import MAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trio

    from trioproxy.server.sockets import Sockets
    from trioproxy.stats.writer import Writer


@pytest.fixture
def diaries() -> Diaries:
    return Diaries()


@pytest.fixture
def process_log() -> Iterator[ProcessLog]:
    log = ProcessLog()
    yield log
    log.close()


@pytest.fixture
def region() -> Iterator[Region]:
    with Region.create() as region:
        yield region


@pytest.fixture
def writer(region: Region) -> Iterator[Writer]:
    """Main's own block."""
    with region.claim(0, MAIN) as writer:
        yield writer


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    wanted = [
        Wanted("web", Address.parse("127.0.0.1:0"), backlog=10, count=2),
        Wanted("db", Address.parse(f"unix:@{id(object())}"), backlog=10),
    ]
    with open_sockets(wanted) as sockets:
        yield sockets


@pytest.fixture
async def children(
    nursery: trio.Nursery, diaries: Diaries, process_log: ProcessLog
) -> TaskChildren:
    return TaskChildren(nursery, diaries.open, process_log)


@pytest.fixture
async def supervisor(
    children: TaskChildren, sockets: Sockets, region: Region, writer: Writer
) -> Supervisor:
    """Of two workers, which are tasks and keep diaries."""
    crew = Crew(0, workers=2, shutdown_time=5, sockets=sockets, region=region.fd, writer=writer)
    return Supervisor(crew, children, children.regrets.append)
