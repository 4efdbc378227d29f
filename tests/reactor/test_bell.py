from __future__ import annotations

import pytest
import trio
import trio.testing

from trioproxy.reactor.bell import Bell


async def test_who_waits_is_woken(nursery: trio.Nursery) -> None:
    bell, woken = Bell(), trio.Event()

    async def wait() -> None:
        await bell.wait()
        woken.set()

    bell.ring()  # nobody hears it
    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    assert not woken.is_set()
    bell.ring()
    bell.ring()
    await woken.wait()


async def test_who_waits_may_be_given_an_error() -> None:
    bell = Bell()

    async def fail() -> None:
        await trio.testing.wait_all_tasks_blocked()
        bell.fail(KeyError("why"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        with pytest.raises(KeyError, match="why"):
            await bell.wait()


async def test_who_was_cancelled_is_not_woken() -> None:
    bell = Bell()
    with trio.move_on_after(0):
        await bell.wait()
    bell.ring()
    bell.fail(KeyError("nobody"))
    await trio.testing.wait_all_tasks_blocked()
