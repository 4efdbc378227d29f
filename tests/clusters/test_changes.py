from __future__ import annotations

import trio.testing

from trioproxy.clusters.changes import Changes


async def test_a_change_that_was_before_the_wait_is_not_missed() -> None:
    changes = Changes()
    changes.note()
    changes.note()
    assert await changes.beyond(0) == 2


async def test_who_waits_is_woken_by_the_next_change() -> None:
    changes, seen = Changes(), []

    async def look() -> None:
        seen.append(await changes.beyond(0))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        nursery.start_soon(look)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == []
        changes.note()
    assert seen == [1, 1]
