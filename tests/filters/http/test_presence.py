from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioproxy.drain.sweep import Sweep
from trioproxy.errors import DownstreamClosed
from trioproxy.filters.http.presence import Presence
from trioproxy.filters.testing import Client, Hands, exchange

if TYPE_CHECKING:
    from trioproxy.filters.exchange import Exchange


async def leave(asked: Exchange, seconds: float) -> None:
    await trio.sleep(seconds)
    asked.connection.transport.hangup = True


@pytest.fixture
async def sweep(nursery: trio.Nursery) -> Sweep:
    sweep = Sweep(Hands())
    nursery.start_soon(sweep.run)
    return sweep


async def test_work_for_a_client_that_leaves_is_ended(
    sweep: Sweep, autojump_clock: trio.testing.MockClock
) -> None:
    asked, begun = exchange(Client()), trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave, asked, 10)
        with pytest.raises(DownstreamClosed), Presence(asked, sweep):
            await trio.sleep_forever()
    assert 10 <= trio.current_time() - begun <= 10.5
    assert not sweep.timed


async def test_who_has_closed_a_half_with_the_request_still_wants_an_answer(
    sweep: Sweep, autojump_clock: trio.testing.MockClock
) -> None:
    asked = exchange(Client())
    asked.connection.transport.hangup = True
    with Presence(asked, sweep):
        await trio.sleep(10)


async def test_who_was_answered_may_leave(
    sweep: Sweep, autojump_clock: trio.testing.MockClock
) -> None:
    asked = exchange(Client())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave, asked, 1)
        with Presence(asked, sweep):
            await asked.respond(200)
            await trio.sleep(10)


async def test_what_goes_wrong_inside_comes_through(
    sweep: Sweep, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(KeyError), Presence(exchange(Client()), sweep):
        raise KeyError("x")
    assert not sweep.timed


async def test_the_outer_one_of_two_tells(
    sweep: Sweep, autojump_clock: trio.testing.MockClock
) -> None:
    asked = exchange(Client())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave, asked, 1)
        with pytest.raises(DownstreamClosed), Presence(asked, sweep), Presence(asked, sweep):
            await trio.sleep_forever()
