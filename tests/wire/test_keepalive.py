from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioproxy.drain.sweep import Sweep
from trioproxy.wire.keepalive import KeepAlive

if TYPE_CHECKING:
    from conftest import Open


class Count:
    value = 0

    def add(self, amount: int = 1) -> None:
        self.value += amount


async def test_a_peer_that_answers_is_left_alone(open_served: Open) -> None:
    async with open_served() as served:
        sweep, lost = Sweep(served.multiplex.transport.reactor), Count()
        keepalive = KeepAlive(served.multiplex, sweep, 60, 5, lost)  # type: ignore[arg-type]
        keepalive.begin()
        for _ in range(3):
            served.multiplex.heard = False
            keepalive.expire()
            await trio.testing.wait_all_tasks_blocked()
            await served.client.more()
            await trio.testing.wait_all_tasks_blocked()
            assert served.multiplex.heard
            keepalive.expire()
        assert lost.value == 0
        keepalive.end()
        assert not sweep.timed


async def test_a_peer_that_does_not_answer_is_given_up(open_served: Open) -> None:
    with pytest.RaisesGroup(TimeoutError, allow_unwrapped=True, flatten_subgroups=True):
        async with open_served() as served:
            lost = Count()
            sweep = Sweep(served.multiplex.transport.reactor)
            keepalive = KeepAlive(served.multiplex, sweep, 60, 5, lost)  # type: ignore[arg-type]
            served.multiplex.heard = False
            keepalive.expire()
            await trio.testing.wait_all_tasks_blocked()
            assert lost.value == 0
            keepalive.expire()
            assert lost.value == 1
            await trio.sleep_forever()


async def test_without_an_interval_nobody_is_asked(open_served: Open) -> None:
    async with open_served() as served:
        sweep = Sweep(served.multiplex.transport.reactor)
        KeepAlive(served.multiplex, sweep, 0, 5, Count()).begin()  # type: ignore[arg-type]
        assert not sweep.timed
