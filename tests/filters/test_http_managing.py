"""What a connection manager counts where a connection or an exchange ends otherwise than well."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import trio
from serving import http

from trioproxy.drain.lifetime import Cause

if TYPE_CHECKING:
    from serving import Proxy, Serving

    from trioproxy.filters.exchange import Exchange

DIRECT = "{match: {prefix: /}, direct_response: {status: 204}}"
NO_CONTENT = "HTTP/1.1 204 No Content |"
ASK = "client >> GET / HTTP/1.1 | host: a |"
ASKED = f"{ASK} \n origin << GET / HTTP/1.1 | host: a |"
HALF = "HTTP/1.1 200 OK | content-length: 9 | | hel\\"
UPGRADE = "connection: upgrade | upgrade: websocket |"
LOCAL = {"destroy": 1, "destroy_local": 1}
LOCAL_ACTIVE = {**LOCAL, "destroy_active_rq": 1, "destroy_local_active_rq": 1}
REMOTE = {"destroy": 1, "destroy_remote": 1}
REMOTE_ACTIVE = {**REMOTE, "destroy_active_rq": 1, "destroy_remote_active_rq": 1}


async def ends(proxy: Proxy) -> dict[str, int]:
    """Return how connections ended, once they have."""
    await proxy.empty()
    start = "http.web.downstream_cx_"
    return {
        name.removeprefix(start): value
        for name, value in proxy.stats().counters.items()
        if name.startswith(f"{start}destroy") and value
    }


@pytest.mark.parametrize(
    ("dialogue", "expected"),
    [
        ("client >> (close)", REMOTE),
        (f"{ASK} \n client << {NO_CONTENT} \n client >> (close)", REMOTE),
        (f"{ASK} \n client << {NO_CONTENT} \n client >> (reset)", REMOTE),
        (f"{ASK} \n client << {NO_CONTENT} \n client << (fin)", LOCAL),
        (
            f"{ASK} connection: close | \n client << {NO_CONTENT} connection: close |"
            "\n client << (fin)",
            LOCAL,
        ),
    ],
)
async def test_who_ended_an_idle_connection(
    serving: Serving, dialogue: str, expected: dict[str, int]
) -> None:
    async with serving(http("idle_timeout: 60ms,", routes=DIRECT)) as proxy:
        await proxy.play(dialogue)
        assert await ends(proxy) == expected


@pytest.mark.parametrize("ending", ["(close)", "(reset)"])
async def test_a_client_that_ends_a_connection_in_an_exchange(
    serving: Serving, ending: str
) -> None:
    async with serving(http()) as proxy:
        await proxy.play(f"{ASKED} \n client >> {ending}")
        assert await ends(proxy) == REMOTE_ACTIVE


async def test_a_connection_that_is_cut_in_an_exchange(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            {ASKED}
            origin >> {HALF}
            client << {HALF}
            origin >> (close)
            client << (reset)
            """
        )
        assert await ends(proxy) == LOCAL_ACTIVE


@pytest.mark.parametrize(
    ("response", "heard", "status", "end"),
    [
        ("", "HTTP/1.1 504 Gateway Timeout | content-length: 0 | connection: close |", 504, "fin"),
        (HALF, HALF, 200, "reset"),
    ],
)
async def test_an_exchange_in_which_nothing_moves(
    serving: Serving, response: str, heard: str, status: int, end: str
) -> None:
    async with serving(http("stream_idle_timeout: 60ms,")) as proxy:
        await proxy.play(
            f"""
            {ASKED}
            {f"origin >> {response}" if response else ""}
            client << {heard}
            origin << (reset)
            client << ({end})
            """
        )
        assert await ends(proxy) == LOCAL_ACTIVE
        counted = proxy.counted("http.web")
        assert counted["downstream_rq_idle_timeout"] == 1
        assert "downstream_cx_idle_timeout" not in counted
    [line] = proxy.log
    assert (line["status"], line["flags"]) == (status, "SI")
    assert line["details"] == ("via_upstream" if response else "stream_idle_timeout")


async def test_a_body_that_moves_keeps_its_exchange(serving: Serving) -> None:
    async with serving(http("stream_idle_timeout: 200ms,")) as proxy:
        await proxy.play(
            f"""
            {ASKED}
            origin >> HTTP/1.1 200 OK | content-length: 6 | | 0\\
            client << HTTP/1.1 200 OK | content-length: 6 | | 0\\
            """
        )
        for digit in range(1, 6):
            await trio.sleep(0.1)
            await proxy.play(f"origin >> {digit}\\\n client << {digit}\\")
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(200, None)]


async def test_a_request_whose_body_stops_is_the_clients_fault(serving: Serving) -> None:
    async with serving(http("stream_idle_timeout: 60ms,")) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 9 | | hel\\
            origin << POST / HTTP/1.1 | host: a | content-length: 9 | | hel\\
            client << HTTP/1.1 408 Request Timeout | content-length: 0 | connection: close |
            client << (fin)
            """
        )
        assert proxy.counter("http.web.downstream_rq_idle_timeout") == 1
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(408, "SI")]


async def test_the_longest_life_is_over_between_two_requests(serving: Serving) -> None:
    async with serving(http("max_connection_duration: 100ms,", routes=DIRECT)) as proxy:
        await proxy.play(f"{ASK} \n client << {NO_CONTENT} \n client << (fin)")
        assert await ends(proxy) == LOCAL
        counted = proxy.counted("http.web")
        assert counted["downstream_cx_max_duration_reached"] == 1
        assert "downstream_cx_idle_timeout" not in counted


async def test_a_drained_connection_did_not_time_out(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        await proxy.play(f"{ASK} \n client << {NO_CONTENT}")
        proxy.plane.drain(Cause.SHUTDOWN, 0.0, 0.1, immediate=True)
        await proxy.play("client << (fin)")
        counted = proxy.counted("http.web")
        assert counted["downstream_cx_drain_close"] == 1
        assert "downstream_cx_idle_timeout" not in counted


async def test_an_exchange_that_the_end_of_a_drain_cuts(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(ASKED)
        proxy.plane.drain(Cause.SHUTDOWN, 0.0, 0.06, immediate=True)
        await proxy.play(
            """
            client << HTTP/1.1 503 Service Unavailable | content-length: 0 | connection: close |
            client << (fin)
            """
        )
        counted = proxy.counted("http.web")
        assert counted["downstream_cx_drain_close"] == 1
        assert "downstream_rq_idle_timeout" not in counted
    assert [(line["status"], line["details"]) for line in proxy.log] == [(503, "drained")]


async def test_a_response_that_comes_before_the_request_is_over(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        await proxy.play(
            f"""
            client >> POST / HTTP/1.1 | host: a | content-length: 3 | | all\\
            client << {NO_CONTENT}
            client >> POST / HTTP/1.1 | host: a | content-length: 9 | | not\\
            client << {NO_CONTENT} connection: close |
            client << (fin)
            """
        )
        assert proxy.counter("http.web.downstream_rq_response_before_rq_complete") == 1


async def test_a_request_that_a_filter_finds_too_large(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(exchange: Exchange, forward: object) -> None:
        await exchange.read_request(limit=4)

    module = ModuleType("under_test")
    module.read = read  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "under_test", module)
    filters = 'http_filters: [{python: "under_test:read"}, router: {}],'
    async with serving(http(filters, routes=DIRECT)) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 5 | | 12345\\
            client << HTTP/1.1 413 ... | content-type: text/plain; charset=utf-8
            client << content-length: ... | | the body is larger than 4 bytes\\n\\
            """
        )
        assert proxy.counter("http.web.downstream_rq_too_large") == 1


@pytest.mark.parametrize(("upgrades", "count"), [("", 1), ("upgrades: [websocket],", 0)])
async def test_an_upgrade_that_is_asked_for_in_vain(
    serving: Serving, upgrades: str, count: int
) -> None:
    async with serving(http(upgrades, routes=DIRECT)) as proxy:
        await proxy.play(f"{ASK} {UPGRADE} \n client << {NO_CONTENT}")
        assert proxy.counter("http.web.downstream_rq_ws_on_non_ws_route") == count
