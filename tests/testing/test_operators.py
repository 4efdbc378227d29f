"""An operator who drains, takes it back and restarts, again and again: clients lose nothing."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
import trio

from trioproxy.testing import open_proxy

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trioproxy.testing import Proxy

CONFIG = """
drain: {{time: 80s, parent_shutdown_time: 120s, hand_over: {moves}}}
listeners:
- name: web
  address: 127.0.0.1:80
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes: [{{match: {{prefix: /}}, direct_response: {{status: 204}}}}]
"""
ASK = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
STAY = b"HTTP/1.1 204 No Content\r\n\r\n"
LEAVE = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
CLIENTS, STEPS = 20, 20
# Whoever asks so often asks between its notice and its idle close, whatever the cause: they are a
# quarter of a time apart that is 10 s at least, where a third generation comes.
PAUSE = 2.4


class Crowd:
    """Clients of which each has a connection, and a new one soon after it was told to leave."""

    def __init__(self, proxy: Proxy, rng: Random) -> None:
        self.told = 0
        self._proxy = proxy
        self._rng = rng

    async def ask(self) -> None:
        """Ask on one connection after the other; raises AssertionError where one just ends."""
        while True:
            async with await self._proxy.connect() as stream:
                await self._use(stream)
            self.told += 1
            await trio.sleep(self._rng.uniform(0, PAUSE))

    async def _use(self, stream: trio.SocketStream) -> None:
        """Ask until it is the last time; then nothing more comes."""
        while True:
            await stream.send_all(ASK)
            answer = await stream.receive_some()
            if answer != STAY:
                assert answer == LEAVE
                assert await stream.receive_some() == b""
                return
            await trio.sleep(self._rng.uniform(0, PAUSE))


async def operate(proxy: Proxy, rng: Random) -> None:
    """Do something that an operator may do."""
    match rng.randrange(5):
        case 0:
            proxy.drain()
        case 1:
            proxy.drain(time=40, immediate=True)
        case 2:
            proxy.undrain()
        case 3:
            await proxy.restart()
        case _:
            await trio.sleep(rng.uniform(0, 60))


@pytest.mark.slow
@pytest.mark.parametrize("moves", ["true", "false"])
@pytest.mark.parametrize("seed", range(3))
async def test_nobody_is_closed_without_notice(
    autojump_clock: MockClock, seed: int, moves: str
) -> None:
    """A52, A62, A63: whatever sequence it is; who asks always hears of it before."""
    rng = Random(seed)
    async with open_proxy(CONFIG.format(moves=moves), seed=seed) as proxy:
        crowd = Crowd(proxy, rng)
        async with trio.open_nursery() as nursery:
            for _ in range(CLIENTS):
                nursery.start_soon(crowd.ask)
            for _ in range(STEPS):
                await trio.sleep(rng.uniform(0, 20))
                await operate(proxy, rng)
            nursery.cancel_scope.cancel()
        assert crowd.told > CLIENTS
        assert proxy.stat("http.web.downstream_rq_total") > CLIENTS * STEPS
