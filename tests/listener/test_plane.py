"""Letting connections in, stopping to, and leaving in an orderly way."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack, contextmanager
from math import inf
from typing import TYPE_CHECKING

import pytest
import trio
from dialogue import wire
from serving import http

from trioproxy.drain.lifetime import Cause
from trioproxy.reactor.accept import BACK_OFF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dialogue import Peer
    from serving import Serving
    from trio.testing import MockClock

DIRECT = "{match: {prefix: /}, direct_response: {status: 204}}"
ASK = "GET / HTTP/1.1 | host: a |"
LISTENER = "listener.127.0.0.1_0"
NO_CONTENT = "HTTP/1.1 204 No Content |"


async def test_suspended_it_accepts_nobody_and_serves_on(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        await proxy.play(f"client >> {ASK} \n client << {NO_CONTENT}")
        proxy.plane.suspend()
        await proxy.quiet()
        await proxy.play(f"client#2 >> {ASK} \n client >> {ASK} \n client << {NO_CONTENT}")
        assert proxy.plane.active == 1
        proxy.plane.resume()
        await proxy.play(f"client#2 << {NO_CONTENT}")


async def test_a_resume_too_many_does_not_undo_the_next_suspend(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        await proxy.quiet()
        proxy.plane.resume()
        proxy.plane.suspend()
        await proxy.quiet()
        await proxy.connect()
        await proxy.quiet()
        assert proxy.plane.active == 0


async def test_suspended_before_it_began(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        proxy.plane.suspend()
        await proxy.quiet()
        await proxy.connect()
        await proxy.quiet()
        assert proxy.plane.active == 0


async def test_shutdown_lets_an_exchange_finish(serving: Serving) -> None:
    async with serving(http()) as proxy, trio.open_nursery() as nursery:
        await proxy.play(f"client >> {ASK} \n origin << {ASK}")
        nursery.start_soon(proxy.plane.shutdown, 0.4)
        await trio.sleep(0.11)  # past the notice, at the latest a quarter of the time
        assert proxy.plane.active == 1
        await proxy.play(
            """
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content | connection: close |
            client << (fin)
            client >> (close)
            """
        )
        await proxy.empty()
        assert proxy.counter("http.web.downstream_cx_drain_close") == 1


async def test_shutdown_closes_who_is_idle_and_returns_then(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        await proxy.play(f"client >> {ASK} \n client << {NO_CONTENT}")
        with trio.fail_after(2):
            await proxy.plane.shutdown(0.2)
        assert proxy.plane.active == 0
        await proxy.play("client << (fin)")


async def test_shutdown_waits_no_longer_than_it_may(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(f"client >> {ASK} \n origin << {ASK}")
        with trio.fail_after(1):
            await proxy.plane.shutdown(0.1)


def connected(address: tuple[str, int], stack: ExitStack) -> socket.socket:
    """Connect without a turn of the loop: the listener has not seen it yet."""
    return stack.enter_context(socket.create_connection(address))


@pytest.mark.parametrize("sockets", [1, 2])
async def test_no_more_connections_than_allowed(serving: Serving, sockets: int) -> None:
    yaml = http(routes=DIRECT, listener="max_connections: 2")
    async with serving(yaml, sockets=sockets) as proxy:
        with ExitStack() as stack:
            for _ in range(12):
                connected(proxy.addresses["web"], stack)
            await proxy.quiet()
            assert proxy.plane.active == 2
            assert proxy.counter(f"{LISTENER}.downstream_cx_overflow") >= 1
        await proxy.empty()
        assert proxy.counter(f"{LISTENER}.downstream_cx_total") == 12


@pytest.mark.parametrize("sockets", [1, 2])
async def test_there_is_room_again(serving: Serving, sockets: int) -> None:
    yaml = http(routes=DIRECT, listener="max_connections: 1")
    async with serving(yaml, sockets=sockets) as proxy:
        for number in range(10):
            await proxy.play(
                f"""
                client#{number} >> {ASK}
                client#{number} << {NO_CONTENT}
                client#{number} >> (close)
                """
            )


async def test_each_worker_counts_its_own_share(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        await proxy.play(f"client >> {ASK} \n client << {NO_CONTENT}")
        for scope in (LISTENER, f"{LISTENER}.worker_0"):
            assert proxy.counter(f"{scope}.downstream_cx_total") == 1
            assert proxy.gauge(f"{scope}.downstream_cx_active") == 1
        accepted = f"{LISTENER}.connections_accepted_per_socket_event"
        assert proxy.stats().histograms[accepted].sum == 1


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Within the block nothing can be opened, and what is open stays so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open("/dev/null") as lowest:
        limit = lowest.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_out_of_descriptors_it_serves_on_and_accepts_later(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        await proxy.play(f"client >> {ASK} \n client << {NO_CONTENT}")
        proxy.plane.suspend()
        await proxy.play(f"client#2 >> {ASK}")
        with no_more_descriptors():
            proxy.plane.resume()
            await trio.sleep(3.5 * BACK_OFF)  # that it tries again and again is not logged
            await proxy.play(f"client >> {ASK} \n client << {NO_CONTENT}")
            assert proxy.plane.active == 1
        await proxy.play(f"client#2 << {NO_CONTENT}")
    assert [record.getMessage() for record in caplog.records] == [
        "listener web: Too many open files; clients wait to be accepted"
    ]


async def test_failed_health_asks_clients_to_come_back_elsewhere(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        await proxy.play(f"client >> {ASK} \n client << {NO_CONTENT}")
        proxy.plane.set_health(failed=True)
        await proxy.play(
            f"client >> {ASK} \n client << {NO_CONTENT} connection: close | \n client << (fin)"
        )
        assert proxy.counter("http.web.downstream_cx_drain_close") == 1
        proxy.plane.set_health(failed=False)
        await proxy.play(f"client#2 >> {ASK} \n client#2 << {NO_CONTENT}")


async def test_what_becomes_of_log_lines_is_counted(serving: Serving) -> None:
    async with serving(http(routes=DIRECT).replace("$log", "/dev/full")) as proxy:
        await proxy.play(f"client >> {ASK} \n client << {NO_CONTENT}")
        with trio.fail_after(2):
            while not proxy.counter("filesystem.write_dropped"):
                await proxy.quiet()
        assert proxy.counter("filesystem.write_failed") == 1
        assert proxy.counter("filesystem.write_completed") == 0


async def test_idle_ones_are_closed_no_faster_than_the_most_per_second(
    serving: Serving, autojump_clock: MockClock
) -> None:
    """A63: though all are to leave at once."""
    autojump_clock.autojump_threshold = 0.05
    yaml = http("drain: {max_per_second: 10},", routes=DIRECT)
    async with serving(yaml) as proxy:
        clients = [await proxy.connect() for _ in range(30)]
        for client in clients:
            await client.say(wire(ASK))
            await client.head()
        begun, ends = trio.current_time(), []

        async def note_end(client: Peer) -> None:
            assert not await client.more(10)
            ends.append(trio.current_time() - begun)

        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(note_end, client)
            proxy.plane.drain(Cause.ADMIN, 0.0, inf, immediate=True)
    assert len(ends) == 30
    assert 3.0 <= ends[0] < ends[-1] <= 6.1
    assert all(later - sooner >= 0.9 for sooner, later in zip(ends, ends[11:], strict=False))
