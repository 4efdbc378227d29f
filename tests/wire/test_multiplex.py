from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import trio
import trio.testing

from trioproxy.codec.h2 import events
from trioproxy.codec.messages import Response
from trioproxy.reactor.bell import Bell
from trioproxy.wire.multiplex import MOST_OWED, MOST_UNSENT

if TYPE_CHECKING:
    from conftest import Open


async def test_what_comes_is_handed_on_in_order(open_served: Open) -> None:
    async with open_served() as served:
        number = await served.begun(body=b"ab")
        kinds = [type(event) for event in served.events if event.stream_id == number]
        assert kinds == [events.RequestReceived, events.DataReceived]
        assert served.multiplex.heard


async def test_what_many_say_in_a_turn_goes_out_at_once(open_served: Open) -> None:
    async with open_served(kind=socket.SOCK_SEQPACKET) as served:
        numbers = [await served.begun() for _ in range(3)]

        async def answer(number: int) -> None:
            served.codec.send_response(number, Response(status=204), ended=True)
            served.multiplex.wake()

        async with trio.open_nursery() as nursery:
            for number in numbers:
                nursery.start_soon(answer, number)
        heard = {0}
        while max(heard) < 3:
            await served.client.more()  # a message, as it was sent
            heard.add(sum(served.client.heard[number].ended for number in numbers))
        assert heard == {0, 3}


async def test_who_is_not_read_by_its_peer_goes_on_reading(open_served: Open) -> None:
    """Or two that both wait for the other to read would wait for ever."""
    async with open_served(window=(1 << 31) - 1, buffer=4096) as served:
        served.client.h2.increment_flow_control_window((1 << 31) - 65_536)
        await served.client.flush()
        number = await served.begun()
        served.codec.send_response(number, Response(status=200))
        data = bytes(MOST_UNSENT + 1)
        while data:
            data = data[served.codec.send_data(number, data) :]
        served.multiplex.gather(MOST_UNSENT + 1)
        assert served.multiplex.full
        await trio.testing.wait_all_tasks_blocked()
        assert served.multiplex.clogged
        waited = trio.Event()

        async def wait() -> None:
            bell = Bell()
            served.multiplex.ring_for_room(bell)
            await bell.wait()
            waited.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            served.client.h2.ping(bytes(8))
            heard = served.multiplex.heard
            await served.client.flush()
            await trio.testing.wait_all_tasks_blocked()
            assert served.multiplex.heard > heard
            assert not waited.is_set()
            await served.client.until(lambda: len(served.client.heard[number].body) > MOST_UNSENT)
            await waited.wait()
        assert not served.multiplex.clogged


async def test_who_is_owed_much_is_not_read(open_served: Open) -> None:
    """Or a peer that only asks would have memory grow for ever."""
    async with open_served(buffer=4096) as served:
        codec, client = served.codec, served.client
        number, said = await served.begun(), 0
        for _ in range(2):  # the first time it is handed to the socket, which does not take it
            while codec.owed <= MOST_OWED:
                codec.send_response(number, Response(status=103))
                said += 1
            served.multiplex.wake()
            await trio.testing.wait_all_tasks_blocked()
        assert served.multiplex.clogged
        heard = served.multiplex.heard
        await client.ask()
        await trio.testing.wait_all_tasks_blocked()
        assert served.multiplex.heard == heard
        await client.until(lambda: len(client.heard[number].interim) == said)
        await trio.testing.wait_all_tasks_blocked()
        assert (served.multiplex.heard > heard, served.multiplex.clogged) == (True, False)


async def test_it_is_over_when_all_is_written(open_served: Open) -> None:
    async with open_served() as served:
        number = await served.begun()
        served.codec.send_response(number, Response(status=204), ended=True)
        served.codec.goaway()
        served.multiplex.over = True
        served.multiplex.wake()
        assert (await served.client.answer(number)).status == 204
        assert served.client.goaways == [(number, 0)]


async def test_the_end_of_the_peer_ends_it(open_served: Open) -> None:
    async with open_served() as served:
        served.client.peer.finish()
        await trio.testing.wait_all_tasks_blocked()
        assert served.multiplex.ended


async def test_who_waits_for_room_is_let_go(open_served: Open) -> None:
    async with open_served() as served, trio.open_nursery() as nursery:
        bell = Bell()
        served.multiplex.ring_for_room(bell)
        nursery.start_soon(bell.wait)
        await trio.testing.wait_all_tasks_blocked()
        served.multiplex.release()
