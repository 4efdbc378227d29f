from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioproxy.filters.http.presence import Presence
from trioproxy.filters.testing import Client, exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.tools import HttpTools


async def leave(asked: Exchange, seconds: float) -> None:
    await trio.sleep(seconds)
    asked.connection.transport.hangup = True


@pytest.fixture
def swept(http_tools: HttpTools, nursery: trio.Nursery) -> HttpTools:
    nursery.start_soon(http_tools.worker.sweep.run)
    return http_tools


async def test_work_for_a_client_that_leaves_is_ended(
    swept: HttpTools, counted: Callable[[str], int], autojump_clock: trio.testing.MockClock
) -> None:
    asked, begun = exchange(Client()), trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave, asked, 10)
        with asked.connection.lifetime as lifetime, Presence(asked, swept):
            await trio.sleep_forever()
    assert lifetime.scope.cancelled_caught
    assert 10 <= trio.current_time() - begun <= 10.5
    assert not swept.worker.sweep.timed
    assert asked.record.flags == "DC"
    assert counted("http.web.downstream_rq_rx_reset") == 1


async def test_who_has_closed_a_half_with_the_request_still_wants_an_answer(
    swept: HttpTools, autojump_clock: trio.testing.MockClock
) -> None:
    asked = exchange(Client())
    asked.connection.transport.hangup = True
    with asked.connection.lifetime as lifetime, Presence(asked, swept):
        await trio.sleep(10)
    assert not lifetime.scope.cancel_called


async def test_who_was_answered_may_leave(
    swept: HttpTools, autojump_clock: trio.testing.MockClock
) -> None:
    asked = exchange(Client())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave, asked, 1)
        with asked.connection.lifetime as lifetime, Presence(asked, swept):
            await asked.respond(200)
            await trio.sleep(10)
    assert not lifetime.scope.cancel_called


async def test_what_goes_wrong_inside_comes_through(swept: HttpTools) -> None:
    with pytest.raises(KeyError), Presence(exchange(Client()), swept):
        raise KeyError("x")
    assert not swept.worker.sweep.timed
