"""What a worker holds against a host, and what is not the host's doing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from serving import http, tcp

from trioproxy.upstream.accusations import MOST, Accusation, Accusations
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from serving import Proxy, Serving

DETECTION = "outlier_detection: {}"
SPLIT = "outlier_detection: {split_external_local_origin_errors: true}"
TIMEOUT = "upstream request timeout"
EMPTY = "HTTP/1.1 204 No Content |"
OVERFLOW = "too many requests wait for a connection"
ASK = "client >> GET / HTTP/1.1 | host: a |"
HEARD = "origin << GET / HTTP/1.1 | host: a |"


def answered(status: str) -> str:
    answer = f"HTTP/1.1 {status} | content-length: 0 |"
    return f"{ASK} \n {HEARD} \n origin >> {answer} \n client << {answer}"


def failed(status: str, detail: str) -> str:
    return f"client << HTTP/1.1 {status} ... | ... | ... | | {detail}\\n\\"


def outcomes(proxy: Proxy) -> dict[str, int]:
    """Return what was counted, of all hosts together."""
    found = Counter[str]()
    for name, value in proxy.stats().hidden.items():
        if ".outcome." in name and value:
            found[name.rpartition(".")[2]] += value
    return dict(found)


@pytest.mark.parametrize(
    ("dialogue", "outcome"),
    [
        (answered("200 OK"), {"success": 1}),
        (answered("404 Not Found"), {"success": 1}),
        (answered("500 No"), {"failure": 1}),
        (
            f"{ASK} \n {HEARD} \n origin >> (reset) \n {failed('503', 'Connection reset by peer')}",
            {"failure": 1},
        ),
        (
            f"{ASK} \n {HEARD} \n origin >> HTTP/9 | \n {failed('502', 'not a status line')}",
            {"failure": 1},
        ),
        (f"{ASK} \n {HEARD} \n client >> (close) \n origin << (reset)", {}),
    ],
)
async def test_what_comes_of_a_request(
    serving: Serving, dialogue: str, outcome: dict[str, int]
) -> None:
    async with serving(http(cluster=DETECTION)) as proxy:
        await proxy.play(dialogue)
        await proxy.empty() if not outcome else await proxy.quiet()
        assert outcomes(proxy) == outcome


async def test_a_body_that_breaks_off_is_a_failure(serving: Serving) -> None:
    """Though the response began well: the request counts once."""
    async with serving(http(cluster=DETECTION)) as proxy:
        head = "HTTP/1.1 200 OK | content-length: 5 |"
        await proxy.play(
            f"""
            {ASK}
            {HEARD}
            origin >> {head} | a\\
            client << {head} | a\\
            origin >> (reset)
            client << (reset)
            """
        )
        assert outcomes(proxy) == {"failure": 1}


async def test_a_client_that_leaves_takes_nothing_back(serving: Serving) -> None:
    async with serving(http(cluster=DETECTION)) as proxy:
        head = "HTTP/1.1 200 OK | content-length: 5 |"
        await proxy.play(f"{ASK} \n {HEARD} \n origin >> {head} | a\\ \n client << {head} | a\\")
        await proxy.play("client >> (reset) \n origin << (reset)")
        assert outcomes(proxy) == {"success": 1}


@pytest.mark.parametrize(
    ("where", "detail"), [("$refusing", "connection refused"), ("$deaf", "connect timeout")]
)
async def test_nobody_there_is_a_failure(serving: Serving, where: str, detail: str) -> None:
    cluster = f"{DETECTION}, connect_timeout: 50ms"
    async with serving(http(endpoints=where, cluster=cluster)) as proxy:
        await proxy.play(f"{ASK} \n {failed('503', detail)}")
        assert outcomes(proxy) == {"failure": 1}


@pytest.mark.parametrize("endpoint", ["$origin", "$deaf"])
async def test_no_answer_in_time_is_a_failure(serving: Serving, endpoint: str) -> None:
    yaml = http(route="timeout: 50ms,", endpoints=endpoint, cluster=DETECTION)
    async with serving(yaml) as proxy:
        await proxy.play(f"{ASK} \n {failed('504', TIMEOUT)}")
        assert outcomes(proxy) == {"failure": 1}


async def test_to_wait_for_a_connection_is_nobodys_fault(serving: Serving) -> None:
    cluster = f"{DETECTION}, circuit_breakers: {{max_connections: 1, max_pending_requests: 1}}"
    async with serving(http(route="timeout: 100ms,", cluster=cluster)) as proxy:
        half = "POST / HTTP/1.1 | host: a | content-length: 2 | | h\\"
        await proxy.play(f"client >> {half} \n origin << {half}")
        await proxy.play("client#2 >> GET / HTTP/1.1 | host: a |")
        await proxy.until("cluster.app.upstream_rq_pending_active", 1)
        late = refused("client#3", "503", OVERFLOW)
        await proxy.play(f"client#3 >> GET / HTTP/1.1 | host: a | \n {late}")
        await proxy.play(refused("client#2", "504", TIMEOUT))
        await proxy.play(
            f"client >> i\\ \n origin << i\\ \n origin >> {EMPTY} \n client << {EMPTY}"
        )
        assert outcomes(proxy) == {"success": 1}


def refused(client: str, status: str, detail: str) -> str:
    return failed(status, detail).replace("client", client)


async def test_a_kept_connection_that_was_closed_is_no_failure(serving: Serving) -> None:
    async with serving(http(cluster=DETECTION)) as proxy:
        await proxy.play(answered("200 OK"))
        await proxy.play(f"{ASK} \n {HEARD} \n origin >> (close)")
        await proxy.play(
            f"origin#2 << GET / HTTP/1.1 | host: a | \n origin#2 >> {EMPTY} \n client << {EMPTY}"
        )
        assert outcomes(proxy) == {"success": 2}


async def test_what_is_of_local_origin_may_be_split_off(serving: Serving) -> None:
    async with serving(http(cluster=SPLIT)) as proxy:
        await proxy.play(answered("500 No"))
        assert outcomes(proxy) == {"failure": 1, "local_success": 1}
    async with serving(http(endpoints="$refusing", cluster=SPLIT), alone=False) as proxy:
        await proxy.play(f"{ASK} \n {failed('503', 'connection refused')}")
        assert outcomes(proxy) == {"local_failure": 1}


@pytest.mark.parametrize(("split", "success"), [(DETECTION, "success"), (SPLIT, "local_success")])
async def test_tcp_hosts_are_judged_by_whether_they_accept(
    serving: Serving, split: str, success: str
) -> None:
    async with serving(tcp(cluster=split)) as proxy:
        await proxy.play("client >> hello\\ \n origin << hello\\")
        assert outcomes(proxy) == {success: 1}
    async with serving(tcp(endpoints="$refusing", cluster=split), alone=False) as proxy:
        await proxy.play("client << (fin)")
        assert outcomes(proxy) == {success.replace("success", "failure"): 1}


async def test_nothing_is_counted_where_nobody_looks(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(answered("500 No"))
        assert outcomes(proxy) == {}


async def test_main_hears_of_too_many_in_a_row(serving: Serving) -> None:
    async with serving(http(cluster="outlier_detection: {consecutive_5xx: 2}")) as proxy:
        await proxy.play(answered("500 No"))
        await proxy.play(answered("500 No"))
        heard = await proxy.plane.accusation()
        assert heard == Accusation("app", proxy.origin.name, EjectionType.CONSECUTIVE_5XX)


async def test_a_host_that_was_ejected_begins_anew(serving: Serving) -> None:
    async with serving(http(cluster="outlier_detection: {consecutive_5xx: 2}")) as proxy:
        (host,) = proxy.cluster().hosts
        await proxy.play(answered("500 No"))
        ejected = attrs.evolve(host.member, flags=("failed_outlier_check",))
        proxy.plane.set_hosts("app", [ejected])
        proxy.plane.set_hosts("app", [attrs.evolve(host.member, flags=())])
        await proxy.play(answered("500 No"))
        with trio.move_on_after(0) as nobody:
            await proxy.plane.accusation()
        assert nobody.cancelled_caught


async def test_accusations_that_nobody_hears_are_forgotten() -> None:
    accusations = Accusations()
    for number in range(MOST + 10):
        accusations("app", str(number), EjectionType.CONSECUTIVE_5XX)
    assert (await accusations.next()).key == "0"
    accusations("app", "last", EjectionType.CONSECUTIVE_5XX)
    heard = [(await accusations.next()).key for _ in range(MOST)]
    assert heard[-1] == "last"
