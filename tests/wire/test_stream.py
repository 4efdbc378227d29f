from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioproxy.codec.messages import Response
from trioproxy.errors import DownstreamClosed, UpstreamTimeout
from trioproxy.headers import Headers
from trioproxy.wire.multiplex import MOST_UNSENT
from trioproxy.wire.stream import Stream

if TYPE_CHECKING:
    from conftest import Open, Served


def stream(served: Served, number: int) -> Stream:
    return Stream(served.multiplex, number, DownstreamClosed)


async def test_a_body_comes_in_pieces(open_served: Open) -> None:
    async with open_served() as served:
        body = stream(served, await served.begun(ended=False)).body
        body.feed(b"a", ended=False)
        body.feed(b"b", ended=False)
        assert body.available() == b"ab"
        assert (body.available(), body.done, body.size, body.left) == (b"", False, 2, 0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed_later, body, b"c")
            assert await body.read() == b"c"
        body.end(Headers([(b"x", b"y")]))
        assert await body.read() == b""
        assert (body.done, body.whole) == (True, False)
        assert body.trailers.fields == [(b"x", b"y")]


async def feed_later(body: object, data: bytes) -> None:
    await trio.testing.wait_all_tasks_blocked()
    body.feed(data, ended=False)  # type: ignore[attr-defined]


async def test_who_waits_is_announced_once(open_served: Open) -> None:
    async with open_served() as served:
        body = stream(served, await served.begun(ended=False)).body
        waits: list[int] = []
        body.before_wait = lambda: waits.append(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed_later, body, b"c")
            await body.read()
        body.feed(b"", ended=True)
        await body.read()
        assert waits == [1]


async def test_a_body_that_is_cut_gives_what_it_has_first(open_served: Open) -> None:
    async with open_served() as served:
        body = stream(served, await served.begun(ended=False)).body
        body.feed(b"a", ended=False)
        body.fail(DownstreamClosed("gone"))
        assert await body.read() == b"a"
        with pytest.raises(DownstreamClosed, match="gone"):
            await body.read()


async def test_who_waits_for_a_body_is_interrupted(open_served: Open) -> None:
    async with open_served() as served, trio.open_nursery() as nursery:
        one = stream(served, await served.begun(ended=False))

        async def interrupt() -> None:
            await trio.testing.wait_all_tasks_blocked()
            one.interrupt(UpstreamTimeout())

        nursery.start_soon(interrupt)
        with pytest.raises(UpstreamTimeout):
            await one.body.read()


async def test_sending_waits_for_the_peers_window(open_served: Open) -> None:
    async with open_served(window=10) as served:
        served.client.acknowledges = False
        number = await served.begun()
        one = stream(served, number)
        served.codec.send_response(number, Response(status=200))
        sent = trio.Event()

        async def send() -> None:
            await one.send(b"0123456789abcdef", ended=True)
            sent.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await served.client.until(lambda: served.client.heard[number].body == b"0123456789")
            await trio.testing.wait_all_tasks_blocked()
            assert not sent.is_set()
            served.client.h2.increment_flow_control_window(10, number)
            await served.client.flush()
            await trio.testing.wait_all_tasks_blocked()
            one.window_opened()  # as its owner does for the event
        assert (await served.client.answer(number)).body == b"0123456789abcdef"


async def test_who_waits_for_room_is_interrupted(open_served: Open) -> None:
    """What many streams have gathered is not waited for beyond a stream's own time."""
    async with open_served() as served, trio.open_nursery() as nursery:
        one = stream(served, await served.begun())
        served.codec.send_response(one.number, Response(status=200))
        served.multiplex._gathered = MOST_UNSENT + 1

        async def interrupt() -> None:
            await trio.testing.wait_all_tasks_blocked()
            one.interrupt(UpstreamTimeout())

        nursery.start_soon(interrupt)
        with trio.fail_after(5), pytest.raises(UpstreamTimeout):
            await one.send(b"a")


async def test_a_stream_that_was_cut_is_not_sent_on(open_served: Open) -> None:
    async with open_served() as served:
        one = stream(served, await served.begun())
        served.codec.send_response(one.number, Response(status=200))
        one.fail(DownstreamClosed("why"))
        with pytest.raises(DownstreamClosed, match="why"):
            await one.send(b"a")


async def test_what_was_read_of_bodies_that_have_ended_is_given_back(open_served: Open) -> None:
    """The connection's window is for all streams: it does not wait for a stream's answer."""
    async with open_served() as served:
        for _ in range(9):
            number = await served.begun(ended=False)
            await served.client.data(number, bytes(60_000), ended=True)
            body = stream(served, number).body
            body.feed(bytes(60_000), ended=True)
            await trio.testing.wait_all_tasks_blocked()
            assert len(body.available()) == 60_000
        said = (1 << 20) - 2 * 60_000
        await served.client.until(lambda: served.client.h2.outbound_flow_control_window > said)


async def test_a_large_piece_is_sent_whole(open_served: Open) -> None:
    async with open_served(window=1 << 24) as served:
        served.client.h2.increment_flow_control_window(1 << 24)
        await served.client.flush()
        number = await served.begun()
        one = stream(served, number)
        served.codec.send_response(number, Response(status=200))
        data = bytes(range(256)) * 4000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: one.send(data, ended=True))
            assert (await served.client.answer(number)).body == data


async def test_a_stream_that_is_over_is_not_sent_on(open_served: Open) -> None:
    async with open_served() as served:
        number = await served.begun()
        one = stream(served, number)
        await served.client.reset(number)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(DownstreamClosed, match="the stream was reset"):
            await one.send(b"a")
        one.fail(DownstreamClosed("why"))
        with pytest.raises(DownstreamClosed, match="why"):
            one.send_trailers(Headers([(b"x", b"y")]))
