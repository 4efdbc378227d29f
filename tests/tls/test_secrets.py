"""What computes passes a few at a time; what has changed is found by itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import checkpoint

from trioproxy.config.tls import DownstreamTls
from trioproxy.tls.secrets import AT_ONCE, LOOK, Secret, Secrets, turnstile

if TYPE_CHECKING:
    from certificates import Authority
    from trio.testing import MockClock


async def test_however_many_come_the_loop_goes_on_in_between() -> None:
    """Nobody computes more than AT_ONCE times until everybody else had a turn."""
    gate, passes, computed = turnstile(), 0, Counter[int]()

    async def compute() -> None:
        async with gate:
            computed[passes] += 1

    async def serve() -> None:
        nonlocal passes
        while sum(computed.values()) < 50:
            passes += 1
            await checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        for _ in range(50):
            nursery.start_soon(compute)
    # Two looks of ours may fall into one pass of the loop: tasks run in any order.
    assert max(computed.values()) <= 2 * AT_ONCE
    assert passes >= 50 // (2 * AT_ONCE)


async def test_what_has_changed_is_found(authority: Authority, autojump_clock: MockClock) -> None:
    pair = authority.issue("a.org")
    config = DownstreamTls(pair.certificate, pair.private_key)
    told: list[str] = []
    secrets = Secrets()
    secrets.add(
        Secret(config.keyring, "web", lambda: told.append("loaded"), lambda: told.append("failed"))
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(secrets.watch)
        await trio.sleep(2 * LOOK)
        assert told == []
        authority.issue("a.org", to=pair)
        await trio.sleep(1.5 * LOOK)
        assert told == ["loaded"]
        nursery.cancel_scope.cancel()
