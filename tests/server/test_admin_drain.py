"""What an operator's drain tells the workers and does to the listen sockets, and how it ends."""

from __future__ import annotations

import os
import socket
from math import inf
from typing import TYPE_CHECKING

import pytest
import trio

from trioproxy.config.address import Address
from trioproxy.config.server import Drain
from trioproxy.server.admin_drain import AdminDrain
from trioproxy.server.messages import Accept
from trioproxy.server.sockets import Bound, Sharer, Wanted, open_sockets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trio.testing import MockClock

    from server.stand_ins import Diaries
    from trioproxy.server.sockets import Sockets
    from trioproxy.server.supervisor import Supervisor

TIME = 600.0
ASKED = f"drain admin {TIME} inf False"
CLOSED = [ASKED, "suspend", "refuse web"]


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[Sockets]:
    """Two at a port and one at a path."""
    port = Wanted("web", Address.parse("127.0.0.1:0"), backlog=10, count=2)
    path = Wanted("web", Address.parse(f"unix:{tmp_path}/web"), backlog=10)
    with open_sockets([port, path]) as sockets:
        sockets.listen()
        yield sockets


@pytest.fixture
async def drain(supervisor: Supervisor, sockets: Sockets, nursery: trio.Nursery) -> AdminDrain:
    drain = AdminDrain(Drain(time=TIME), sockets, supervisor, lambda: 7)
    await supervisor.start(nursery)
    await supervisor.tell(Accept())
    nursery.start_soon(drain.run)
    return drain


async def told(supervisor: Supervisor, diaries: Diaries) -> list[str]:
    """Return what each worker was told since it started, the same to all."""
    await supervisor.obeyed()
    first, second = (diary.told[1:] for diary in diaries.all)
    assert first == second
    return first


def lets_in(bound: Bound) -> bool:
    """Say whether one can connect."""
    with socket.socket(bound.address.family) as client:
        try:
            client.connect(bound.local.sockaddr)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True


def all_let_in(sockets: Sockets) -> bool:
    """Say whether one can connect to all; fails where it is only some."""
    (answer,) = {lets_in(bound) for bound in sockets.bound}
    return answer


async def test_closed_at_once(
    drain: AdminDrain, supervisor: Supervisor, diaries: Diaries, sockets: Sockets
) -> None:
    """A69: and once more is no more."""
    for _ in range(2):
        await drain.begin(0)
        assert not all_let_in(sockets)
        assert drain.note == "closed by request"
        assert await told(supervisor, diaries) == CLOSED


async def test_closed_when_the_drain_is_over(
    drain: AdminDrain,
    supervisor: Supervisor,
    diaries: Diaries,
    sockets: Sockets,
    autojump_clock: MockClock,
) -> None:
    """A69."""
    await drain.begin(TIME)
    await trio.sleep(TIME - 1)
    await drain.begin(TIME)
    assert all_let_in(sockets)
    assert drain.note == "draining by request"
    assert await told(supervisor, diaries) == [ASKED]
    await trio.sleep(2)
    assert not all_let_in(sockets)
    assert await told(supervisor, diaries) == CLOSED


async def test_never_closed(
    drain: AdminDrain,
    supervisor: Supervisor,
    diaries: Diaries,
    sockets: Sockets,
    autojump_clock: MockClock,
) -> None:
    """A69: until one asks for that, too."""
    await drain.begin(inf)
    await trio.sleep(TIME * 2)
    assert all_let_in(sockets)
    await drain.begin(TIME)
    assert not all_let_in(sockets)
    assert await told(supervisor, diaries) == CLOSED


async def test_cancelled_before_it_is_over(
    drain: AdminDrain,
    supervisor: Supervisor,
    diaries: Diaries,
    sockets: Sockets,
    autojump_clock: MockClock,
) -> None:
    await drain.begin(TIME)
    assert drain.begun_with == 7
    assert await drain.cancel() == []
    assert await drain.cancel() == []
    assert drain.begun_with is None
    await trio.sleep(TIME * 2)
    assert all_let_in(sockets)
    assert drain.note == ""
    assert await told(supervisor, diaries) == [ASKED, "undrain admin"]


async def test_cancelled_after_it_was_closed(
    drain: AdminDrain, supervisor: Supervisor, diaries: Diaries, sockets: Sockets
) -> None:
    for _ in range(2):
        await drain.begin(0)
        assert await drain.cancel() == []
        assert all_let_in(sockets)
    again = [*CLOSED, "undrain admin", "resume"]
    assert await told(supervisor, diaries) == again * 2


async def test_what_others_have_stays_open(drain: AdminDrain, sockets: Sockets) -> None:
    first, second, _ = sockets.bound
    first.sharers.add(Sharer.CHILD)
    second.lent = True
    await drain.begin(0)
    assert [lets_in(bound) for bound in sockets.bound] == [True, True, False]


async def test_lent_to_a_next_generation_and_taken_back(
    drain: AdminDrain, sockets: Sockets
) -> None:
    drain.lend()
    drain.take_back()
    assert all_let_in(sockets)
    await drain.begin(0)
    drain.lend()
    assert all_let_in(sockets)
    drain.take_back()
    assert not all_let_in(sockets)


async def test_an_abstract_socket_goes_on_queueing(supervisor: Supervisor) -> None:
    """Linux never lets such a socket listen again once it was shut."""
    address = Address.parse(f"unix:@{os.getpid()}-drained")
    with open_sockets([Wanted("web", address, backlog=10)]) as sockets:
        sockets.listen()
        drain = AdminDrain(Drain(), sockets, supervisor, lambda: 7)
        await drain.begin(0)
        assert all_let_in(sockets)
        drain.lend()
        drain.take_back()
        assert await drain.cancel() == []
        assert all_let_in(sockets)
