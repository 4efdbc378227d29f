"""The offering end of a hand-over, and what is not answered."""

from __future__ import annotations

import trio

from trioproxy.filters.handover import WINDOW, HandOver, Successor
from trioproxy.filters.offer import OFFERS, TCP, Accepted, Offer
from trioproxy.restart.channel import Channel, channel_pair

OFFER = Offer(TCP, "db", 0.0)


async def test_who_gives_up_makes_room_for_others() -> None:
    """A connection whose time is over while it waits for the answer does not wait on."""
    mine, theirs = channel_pair()
    successor = Successor(mine)
    with Channel(theirs, OFFERS) as end:
        for sent in (False, True):
            async with trio.open_nursery() as nursery:
                for _ in range(WINDOW):
                    nursery.start_soon(successor.commit, OFFER, [])
                if sent:
                    await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await successor.room()
        for _ in range(WINDOW):
            late = await end.receive()
            await end.send(Accepted(late.message.number))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(successor.hear)
            nursery.start_soon(accept, end)
            assert await successor.commit(OFFER, [])
            nursery.cancel_scope.cancel()
    assert successor.accepted == 1


async def accept(end: Channel[Offer]) -> None:
    """Accept one offer."""
    await end.send(Accepted((await end.receive()).message.number))


async def test_what_an_attempt_moved_is_not_told_of_the_next_one() -> None:
    handover = HandOver()
    mine, theirs = channel_pair()
    successor = handover.begin(mine)
    with Channel(theirs, OFFERS) as end:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(successor.hear)
            nursery.start_soon(accept, end)
            assert await successor.commit(OFFER, [])
            assert handover.counts == {"moved": 1, "declined": 0}
            handover.end()
            assert not handover.open
            assert handover.counts == {"moved": 0, "declined": 0}
            nursery.cancel_scope.cancel()
