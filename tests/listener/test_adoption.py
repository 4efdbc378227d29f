"""Connections that move to the next generation: two planes in this process, and a channel."""

from __future__ import annotations

import os
import random
import resource
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from serving import http, tcp
from upstreams import echo

from trioproxy.drain.lifetime import Cause
from trioproxy.filters.handover import WINDOW
from trioproxy.filters.offer import ANSWERS, OFFERS, Accepted, Declined
from trioproxy.restart.channel import Channel, channel_pair
from trioproxy.restart.packets import close_all

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from dialogue import Peer
    from serving import Proxy, Serving
    from trio.testing import MockClock

    Configure = Callable[..., str]

WEBSOCKET = "upgrades: [websocket],"
UPGRADE = """
    client >> GET /w HTTP/1.1 | host: a | connection: Upgrade | upgrade: websocket |
    origin << GET /w HTTP/1.1 | host: a | connection: upgrade | upgrade: websocket |
    origin >> HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket |
    client << HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket |
    """
LISTENER = "listener.127.0.0.1_0"
TALK = """
    client >> hello\\
    origin << hello\\
    origin >> welcome\\
    client << welcome\\
    """
ASK = """
    client >> GET / HTTP/1.1 | host: a |
    origin << GET / HTTP/1.1 | host: a |
    """
ANSWER = """
    origin >> HTTP/1.1 200 OK | content-length: 2 | | hi\\
    client << HTTP/1.1 200 OK | content-length: 2 | | hi\\
    """
PYTHON = """
class Passing:
    async def __call__(self, connection, forward):
        await forward(connection)

class Leaving:
    async def __call__(self, connection, _forward):
        await connection.receive()
        await connection.noticed()
        await connection.send(b"goodbye")
"""


@asynccontextmanager
async def generations(
    serving: Serving, configure: Configure = tcp, later: Configure | None = None
) -> AsyncIterator[tuple[Proxy, Proxy]]:
    """Yield a plane, and the one that is to have its connections: they know the same upstream."""
    async with serving(configure()) as old:
        endpoint = old.origin.name
        async with serving((later or configure)(endpoints=endpoint), alone=False) as new:
            try:
                yield old, new
            finally:
                old.leave()


def channel(old: Proxy) -> socket.socket:
    """Have `old` offer its connections; returns the end where the offers come out."""
    mine, theirs = channel_pair()
    old.plane.hand_over(mine)
    return theirs


def drain(old: Proxy) -> None:
    old.plane.suspend()
    old.plane.drain(Cause.RESTART, 600, 900, immediate=False)


async def move(old: Proxy, new: Proxy) -> None:
    """Move all connections; returns when all have moved."""
    new.plane.adopt(channel(old))
    drain(old)
    await old.empty()


async def test_a_tcp_session_goes_on(serving: Serving) -> None:
    """A50: in both directions, and it is logged once, where it ends."""
    async with generations(serving) as (old, new):
        await old.play(TALK)
        await move(old, new)
        await old.play(f"{TALK} client >> (fin) \n origin << (fin) \n origin >> (fin)")
        await new.empty()
        assert new.counted("tcp.db") == {}
        assert new.counted(LISTENER)["downstream_cx_adopted"] == 1
    assert [(line["received"], line["sent"], line["flags"]) for line in old.log] == [(10, 14, None)]


async def test_it_is_counted_where_it_begins_and_where_it_ends(serving: Serving) -> None:
    length = f"{LISTENER}.downstream_cx_length_ms"
    async with generations(serving) as (old, new):
        await old.play(TALK)
        await move(old, new)
        assert old.plane.report()["offers"] == {"moved": 1, "declined": 0}
        assert old.counted(LISTENER) == {
            "downstream_cx_total": 1,
            "downstream_cx_handed_over": 1,
            "worker_0.downstream_cx_total": 1,
        }
        assert old.stats().histograms[length].count == 0
        assert old.counter("cluster.app.upstream_cx_destroy") == 0
        assert new.gauge(f"{LISTENER}.worker_0.downstream_cx_active") == 1
        await old.play("client >> (fin) \n origin << (fin) \n origin >> (fin) \n client << (fin)")
        await new.empty()
        assert new.counted(LISTENER) == {"downstream_cx_adopted": 1, "downstream_cx_destroy": 1}
        assert new.stats().histograms[length].count == 1
        assert new.counter("cluster.app.upstream_cx_destroy") == 1


@pytest.mark.parametrize(("who", "other"), [("client", "origin"), ("origin", "client")])
async def test_a_half_closed_session_goes_on(serving: Serving, who: str, other: str) -> None:
    """A50: half-closed ones included."""
    async with generations(serving) as (old, new):
        await old.play(f"{TALK} {who} >> (fin) \n {other} << (fin)")
        await move(old, new)
        await old.play(
            f"""
            {other} >> still here\\
            {who} << still here\\
            {other} >> (fin)
            {who} << (fin)
            """
        )


@pytest.mark.parametrize("seed", range(4))
async def test_no_byte_is_lost_however_often_it_moves(serving: Serving, seed: int) -> None:
    """A50: both directions are full all the time, and what is stuck moves along."""
    rng = random.Random(seed)
    data = rng.randbytes(8_000_000)
    async with generations(serving) as (old, new), old.origin.behaving(echo):
        client = await old.party("client")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say_all, client, data)
            await move_at(rng.randrange(len(data) // 2), client, old, new)
            assert await client.rest() == data
    assert [(line["received"], line["sent"]) for line in old.log] == [(len(data), len(data))]


async def move_at(count: int, client: Peer, old: Proxy, new: Proxy) -> None:
    """Move when the client has heard so much."""
    while len(client.heard) < count:
        await client.more()
    await move(old, new)


async def say_all(client: Peer, data: bytes) -> None:
    await client.say_slowly(data)
    client.finish()


async def test_a_chain_of_restarts(serving: Serving) -> None:
    """What was taken over is handed over again."""
    async with (
        generations(serving) as (first, second),
        serving(tcp(endpoints=first.origin.name), alone=False) as third,
    ):
        await first.play(TALK)
        await move(first, second)
        await first.play(TALK)
        await move(second, third)
        await first.play(TALK)
        first.leave()


async def test_an_upgraded_connection_goes_on(serving: Serving) -> None:
    """A51: it is logged once, as what it began as."""
    async with generations(serving, partial(http, WEBSOCKET)) as (old, new):
        await old.play(f"{UPGRADE} {TALK}")
        await move(old, new)
        assert old.gauge("http.web.downstream_cx_upgrades_active") == 0
        assert new.gauge("http.web.downstream_cx_upgrades_active") == 1
        assert new.gauge("cluster.app.upstream_cx_active") == 1
        await old.play(f"{TALK} client >> (fin) \n origin << (fin) \n origin >> (fin)")
        await new.empty()
    (line,) = old.log
    assert (line["method"], line["path"], line["status"]) == ("GET", "/w", 101)
    assert (line["received"], line["sent"], line["flags"]) == (10, 14, None)


async def test_a_connect_tunnel_goes_on(serving: Serving) -> None:
    """A51: it is logged once, as what it began as."""
    configure = partial(
        http, "upgrades: [connect],", routes="{match: {connect: true}, route: {cluster: app}}"
    )
    opening = "client >> CONNECT a:1 HTTP/1.1 | host: a:1 | \n client << HTTP/1.1 200 OK |"
    async with generations(serving, configure) as (old, new):
        await old.play(f"{opening} {TALK}")
        await move(old, new)
        await old.play(f"{TALK} client >> (fin) \n origin << (fin) \n origin >> (fin)")
        await new.empty()
    (line,) = old.log
    assert (line["method"], line["status"], line["received"]) == ("CONNECT", 200, 10)


async def test_an_idle_keep_alive_connection_goes_on(serving: Serving) -> None:
    """A52: whoever uses it again gets an answer, with no word of closing."""
    async with generations(serving, http) as (old, new):
        await old.play(ASK + ANSWER)
        await move(old, new)
        await old.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            origin#2 << GET / HTTP/1.1 | host: a |
            origin#2 >> HTTP/1.1 200 OK | content-length: 2 | | hi\\
            client << HTTP/1.1 200 OK | content-length: 2 | | hi\\
            """
        )
        assert new.counted("http.web")["downstream_rq_total"] == 1
        assert "downstream_cx_total" not in new.counted("http.web")


async def test_its_requests_are_counted_on(serving: Serving) -> None:
    """The bound on requests is one for the connection, not for each generation."""
    configure = partial(http, "max_requests_per_connection: 2,")
    async with generations(serving, configure) as (old, new):
        await old.play(ASK + ANSWER)
        await move(old, new)
        await old.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            origin#2 << GET / HTTP/1.1 | host: a |
            origin#2 >> HTTP/1.1 200 OK | content-length: 2 | | hi\\
            client << HTTP/1.1 200 OK | content-length: 2 | connection: close | | hi\\
            client << (fin)
            """
        )


async def test_a_client_that_half_closes_behind_its_request_is_answered(serving: Serving) -> None:
    """A52: both wait in the kernel when the next generation gets the connection."""
    async with generations(serving, http) as (old, new):
        await old.play(ASK + ANSWER)
        end = Channel(channel(old), OFFERS)
        drain(old)
        received = await end.receive()
        client = await old.party("client")
        await client.say(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        client.finish()
        mine, theirs = channel_pair()
        new.plane.adopt(theirs)
        with Channel(mine, ANSWERS) as offering:
            await offering.send(received.message, received.fds)
            await offering.receive()
        close_all(received.fds)
        await end.send(Accepted(received.message.number))
        await old.play(
            """
            origin#2 << GET / HTTP/1.1 | host: a |
            origin#2 >> HTTP/1.1 200 OK | content-length: 2 | | hi\\
            client << HTTP/1.1 200 OK | content-length: 2 | | hi\\
            """
        )
        end.close()


async def test_a_client_that_is_not_understood_stays(serving: Serving) -> None:
    """It was told that this is the end: what it says after that is no request, to nobody."""
    async with generations(serving, http) as (old, new):
        await old.play(
            """
            client >> nonsense |
            client << HTTP/1.1 400 Bad Request | content-length: 0 | connection: close |
            client << (fin)
            """
        )
        new.plane.adopt(channel(old))
        drain(old)
        await old.quiet()
        await (await old.party("client")).say(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await old.empty()
        assert new.plane.active == 0
        assert new.counted("http.web") == {}


async def test_a_response_in_flight_completes_before_it_moves(serving: Serving) -> None:
    """A54: in the old generation, and the connection is kept."""
    async with generations(serving, http) as (old, new):
        await old.play(ASK)
        new.plane.adopt(channel(old))
        drain(old)
        await old.quiet()
        assert old.plane.active == 1
        await old.play(ANSWER)
        await old.empty()
        assert new.plane.active == 1


async def test_a_keep_alive_connection_under_full_load(serving: Serving) -> None:
    """A52: the next request is always on its way already, and none is lost."""
    direct = "{match: {prefix: /}, direct_response: {status: 204}}"
    request, answer = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
    async with generations(serving, partial(http, routes=direct + ", " + ELSE)) as (old, new):
        client = await old.party("client")
        new.plane.adopt(channel(old))
        for turn in range(200):
            await client.say(request * 3)
            if turn == 100:
                drain(old)
            assert await client.exactly(3 * len(answer)) == answer * 3
        assert old.plane.active == 0
        assert old.counter("http.web.downstream_rq_total") > 300
        assert new.counter("http.web.downstream_rq_total") > 200


ELSE = "{match: {prefix: /}, route: {cluster: app}}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("stat_prefix", "drain: {hand_over: false}, stat_prefix"),
        ("endpoints: [", "endpoints: [127.0.0.1:1]} # "),
        ("name: db", "name: another"),
        ("app", "another"),
    ],
    ids=["turned off", "no such host", "no such listener", "no such cluster"],
)
async def test_what_does_not_fit_the_next_configuration_stays(
    serving: Serving, before: str, after: str
) -> None:
    """A56: declined, it stays where it is, and drains there."""

    def later(endpoints: str) -> str:
        return tcp(endpoints=endpoints).replace(before, after)

    async with generations(serving, tcp, later) as (old, new):
        await old.play(TALK)
        new.plane.adopt(channel(old))
        drain(old)
        await old.quiet()
        assert (old.plane.active, new.plane.active) == (1, 0)
        await old.play(TALK)


async def test_a_tunnel_whose_request_would_be_refused_stays(serving: Serving) -> None:
    """A56: the next configuration allows fewer header fields than it had."""
    later = partial(http, WEBSOCKET + "max_headers_count: 1,")
    async with generations(serving, partial(http, WEBSOCKET), later) as (old, new):
        await old.play(UPGRADE + TALK)
        new.plane.adopt(channel(old))
        drain(old)
        await old.quiet()
        assert (old.plane.active, new.plane.active) == (1, 0)
        await old.play(TALK)


async def test_a_filter_may_keep_its_connections(serving: Serving) -> None:
    """A56: `hand_over: false`; an idle keep-alive connection is told to leave, then."""
    configure = partial(http, "drain: {hand_over: false},")
    async with generations(serving, configure) as (old, new):
        await old.play(ASK + ANSWER)
        new.plane.adopt(channel(old))
        old.plane.suspend()
        old.plane.drain(Cause.RESTART, 0.4, 900, immediate=True)
        await old.play("client << (fin)")
        assert new.plane.active == 0


async def test_a_filter_of_ones_own_before_it_keeps_it(serving: Serving, tmp_path: Path) -> None:
    """What such a filter remembers of a connection cannot be carried over."""
    (tmp_path / "passing.py").write_text(PYTHON)
    filters = "filters:\n  - python: {filter: passing:Passing}\n"

    def configure(endpoints: str = "$origin") -> str:
        return tcp(endpoints=endpoints).replace("filters:\n", filters)

    async with generations(serving, configure) as (old, new):
        await old.play(TALK)
        new.plane.adopt(channel(old))
        drain(old)
        await old.quiet()
        assert (old.plane.active, new.plane.active) == (1, 0)


async def test_a_filter_of_ones_own_is_told_to_leave(serving: Serving, tmp_path: Path) -> None:
    """What it serves itself cannot move, so it hears the notice."""
    (tmp_path / "leaving.py").write_text(PYTHON)
    filters = "filters: [{python: {filter: leaving:Leaving}}]\nclusters:\n"

    def configure(endpoints: str = "$origin") -> str:
        before, _, after = tcp(endpoints=endpoints).partition("filters:")
        return before + filters + after.partition("clusters:\n")[2]

    async with generations(serving, configure) as (old, new):
        await old.play("client >> hello\\")
        new.plane.adopt(channel(old))
        old.plane.suspend()
        old.plane.drain(Cause.RESTART, 0.4, 900, immediate=True)
        await old.play("client << goodbye\\ \n client << (fin)")
        assert new.plane.active == 0


@pytest.mark.parametrize("configure", [tcp, partial(http, WEBSOCKET)])
@pytest.mark.parametrize("answers", [True, False])
async def test_without_the_acknowledgement_it_comes_back(
    serving: Serving, configure: Configure, answers: bool
) -> None:
    """A refusal gives a connection back, and so does the death of the other side; time does not."""
    opening = UPGRADE if configure is not tcp else ""
    async with serving(configure()) as old:
        await old.play(opening + TALK)
        end = Channel(channel(old), OFFERS)
        drain(old)
        received = await end.receive()
        assert len(received.fds) == 2
        client = await old.party("client")
        await client.say(b"is anybody there?")
        await old.quiet()
        assert (await old.party("origin")).unasked() == b""
        close_all(received.fds)
        if answers:
            await end.send(Declined(received.message.number, "for a test"))
        else:
            end.close()
        await old.play(f"origin << is anybody there?\\\n{TALK}")
        end.close()


async def test_what_a_dead_worker_has_offered_is_taken(serving: Serving) -> None:
    """Though nobody hears the answers any more, not even that one of them is no."""
    async with serving(tcp()) as old, serving(tcp(endpoints=old.origin.name), alone=False) as new:
        await old.play(TALK)
        end = Channel(channel(old), OFFERS)
        drain(old)
        received = await end.receive()
        mine, theirs = channel_pair()
        with Channel(mine, ANSWERS) as dead:
            unknown = attrs.evolve(received.message, listener="unknown")
            await dead.send(unknown, received.fds)
            await dead.send(received.message, received.fds)
        await end.send(Accepted(received.message.number))
        close_all(received.fds)
        await old.empty()
        new.plane.adopt(theirs)
        await old.play(TALK)
        assert new.plane.active == 1
        old.leave()
        end.close()


async def test_who_has_no_descriptors_left_says_so(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    """What it could not take stays where it was."""
    async with generations(serving) as (old, new):
        await old.play(TALK)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        offers = channel(old)
        new.plane.adopt(offers)
        highest = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
        fillers = list(take_descriptors())
        drain(old)
        await old.quiet()
        for fd in fillers:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        await old.play(TALK)
        assert (old.plane.active, new.plane.active) == (1, 0)
    assert "descriptors beyond this process's limit" in caplog.text


def take_descriptors() -> Iterator[int]:
    """Take all that the process may have."""
    with suppress(OSError):
        while True:
            yield os.open("/dev/null", os.O_RDONLY)


async def test_nobody_moves_any_more_when_the_next_generation_is_dead(serving: Serving) -> None:
    async with generations(serving) as (old, new):
        await old.play(TALK)
        new.plane.adopt(channel(old))
        old.plane.drain(Cause.RESTART, 600, 900, immediate=False)
        old.plane.undrain(Cause.RESTART)
        await old.play(TALK)
        assert old.plane.active + new.plane.active == 1


async def test_what_is_left_of_a_failed_generation_does_not_disturb_the_next(
    serving: Serving,
) -> None:
    """Its workers may outlive it: what the next one was offered stays untouched when they go."""
    async with serving(tcp()) as old:
        await old.play(TALK)
        left = Channel(channel(old), OFFERS)
        drain(old)
        declined = await left.receive()
        close_all(declined.fds)
        await left.send(Declined(declined.message.number, "for a test"))
        await old.quiet()
        old.plane.undrain(Cause.RESTART)
        following = Channel(channel(old), OFFERS)
        drain(old)
        offered = await following.receive()
        left.close()
        await old.quiet()
        client = await old.party("client")
        await client.say(b"is anybody there?")
        await old.quiet()
        assert (await old.party("origin")).unasked() == b""
        close_all(offered.fds)
        following.close()
        await old.play("origin << is anybody there?\\")


async def test_more_than_a_window_of_them_move(serving: Serving) -> None:
    """In one go, and each goes on."""
    async with generations(serving) as (old, new), old.origin.behaving(echo):
        clients = [await old.connect() for _ in range(300)]
        for client in clients:
            await client.say(b"a")
            assert await client.exactly(1) == b"a"
        await move(old, new)
        for client in clients:
            await client.say(b"b")
            assert await client.exactly(1) == b"b"
        assert new.plane.active == 300


async def test_who_is_not_in_the_window_yet_goes_on_here(serving: Serving) -> None:
    """A55: nobody pauses for longer than a window takes, however many there are to move."""
    async with serving(tcp()) as old, old.origin.behaving(echo):
        clients = [await old.connect() for _ in range(300)]
        for client in clients:
            await client.say(b"a")
            assert await client.exactly(1) == b"a"
        end = Channel(channel(old), OFFERS)
        drain(old)
        await old.quiet()
        for client in clients:
            await client.say(b"b")
        await old.quiet()
        assert len([client for client in clients if client.unasked()]) >= 300 - WINDOW - 1
        end.close()
        for client in clients:
            assert await client.exactly(1) == b"b"


async def test_no_more_move_than_the_most_per_second(
    serving: Serving, mock_clock: MockClock
) -> None:
    """Who was not called yet does not go either where it could."""
    direct = "{match: {prefix: /}, direct_response: {status: 204}}"
    talk = "client >> GET / HTTP/1.1 | host: a | \n client << HTTP/1.1 204 No Content |"
    configure = partial(http, "drain: {max_per_second: 1},", routes=direct)
    async with generations(serving, configure) as (old, new):
        await old.play(f"{talk} \n {talk.replace('client', 'client#2')}")
        new.plane.adopt(channel(old))
        drain(old)
        await new.until(f"{LISTENER}.downstream_cx_active", 1)
        await old.play(f"{talk} \n {talk.replace('client', 'client#2')}")
        assert (old.plane.active, new.plane.active) == (1, 1)
        mock_clock.jump(1.0)
        await old.empty()
        assert new.plane.active == 2
