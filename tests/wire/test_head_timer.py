"""How long a head may take, of which each is on its own."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import trio.testing

from trioproxy.drain.sweep import Sweep
from trioproxy.wire.head_timer import HeadTimer

if TYPE_CHECKING:
    from conftest import Open

HEAD = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]


async def test_each_head_has_its_own_time(open_served: Open) -> None:
    async with open_served() as served:
        reactor = served.multiplex.transport.reactor
        timer = HeadTimer(Sweep(reactor), 1, lambda: None)
        served.multiplex.head_timer = timer
        client, said = served.client, []
        for number in (1, 3):
            client.h2.send_headers(number, HEAD, end_stream=True)
            said.append(client.h2.data_to_send())
        deadlines = []
        for piece in (said[0][:12], said[0][12:] + said[1][:12], said[1][12:]):
            await client.peer.say(piece)
            await trio.testing.wait_all_tasks_blocked()
            deadlines.append(timer.when)
        assert deadlines[0] < deadlines[1] < deadlines[2] == inf
