"""What is tried again, how often and how long; and what a cluster refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from serving import http

if TYPE_CHECKING:
    from serving import Proxy, Serving

BACKOFF = "backoff: {base: 1ms, max: 1ms}"
TWO = "$origin, $origin2"


def retry(on: str, more: str = "") -> str:
    return f"retry: {{on: [{on}], {BACKOFF}, {more}}},"


def failure(status: str, detail: str) -> str:
    return f"""
        client << HTTP/1.1 {status} | content-type: text/plain; charset=utf-8
        client << content-length: ... | | {detail}\\n\\
        """


HASHED = "hash_policy: [{source_ip: true}],"
ASK = "client >> GET / HTTP/1.1 | host: a |"
NO_CONTENT = "HTTP/1.1 204 No Content |"
TIMED_OUT = failure("504 Gateway Timeout", "upstream request timeout")


async def test_connection_refused(serving: Serving) -> None:
    async with serving(http(endpoints="$refusing")) as proxy:
        await proxy.play(ASK + failure("503 Service Unavailable", "connection refused"))
        assert proxy.counted("cluster.app") == {
            "upstream_cx_total": 1,
            "upstream_cx_destroy": 1,
            "upstream_cx_connect_fail": 1,
            "upstream_rq_total": 1,
            "upstream_rq_completed": 1,
            "upstream_rq_5xx": 1,
            "upstream_rq_pending_failure_eject": 1,
        }
    [line] = proxy.log
    assert (line["status"], line["flags"], line["failure"]) == (503, "UF", "connection refused")


async def test_connect_timeout(serving: Serving) -> None:
    async with serving(http(endpoints="$deaf", cluster="connect_timeout: 50ms")) as proxy:
        await proxy.play(ASK + failure("503 Service Unavailable", "connect timeout"))
        assert proxy.counter("cluster.app.upstream_cx_connect_timeout") == 1
    assert proxy.log[0]["flags"] == "UF"


async def test_connection_refused_and_another_host(serving: Serving) -> None:
    yaml = http(route=retry("connect_failure"), endpoints="$refusing, $origin")
    async with serving(yaml) as proxy:
        for _ in range(4):
            await proxy.play(
                f"""
                {ASK}
                origin << GET / HTTP/1.1 | host: a |
                origin >> {NO_CONTENT}
                client << {NO_CONTENT}
                """
            )
        retries = proxy.counter("cluster.app.upstream_rq_retry")
        assert proxy.counter("cluster.app.upstream_rq_retry_success") == retries > 0
    assert {line["status"] for line in proxy.log} == {204}
    assert sum(line["attempts"] for line in proxy.log) == 4 + retries


async def test_a_reset_is_tried_again_where_the_route_says_so(serving: Serving) -> None:
    async with serving(http(route=retry("reset"))) as proxy:
        await proxy.play(
            f"""
            client >> POST / HTTP/1.1 | host: a | content-length: 2 | | hi\\
            origin << POST / HTTP/1.1 | host: a | content-length: 2 | | hi\\
            origin >> (reset)
            origin#2 << POST / HTTP/1.1 | host: a | content-length: 2 | | hi\\
            origin#2 >> {NO_CONTENT}
            client << {NO_CONTENT}
            """
        )


async def test_retries_come_to_an_end(serving: Serving) -> None:
    async with serving(http(route=retry("reset", "attempts: 2"))) as proxy:
        await proxy.play(
            f"""
            {ASK}
            origin << GET / HTTP/1.1 | host: a |
            origin >> (close)
            origin#2 << GET / HTTP/1.1 | host: a |
            origin#2 >> (close)
            origin#3 << GET / HTTP/1.1 | host: a |
            origin#3 >> (close)
            {failure("503 Service Unavailable", "closed before the response")}
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_retry") == 2
        assert proxy.counter("cluster.app.upstream_rq_retry_limit_exceeded") == 1
        assert proxy.counter("cluster.app.upstream_rq_rx_reset") == 3
    assert proxy.log[0]["attempts"] == 3


async def test_the_log_says_that_retries_came_to_an_end(serving: Serving) -> None:
    async with serving(http(route=retry("connect_failure"), endpoints="$refusing")) as proxy:
        await proxy.play(ASK + failure("503 Service Unavailable", "connection refused"))
    assert proxy.log[0]["flags"] == "UF,URX"


@pytest.mark.parametrize(
    ("on", "status", "again"),
    [
        ("5xx", 500, True),
        ("5xx", 503, True),
        ("5xx", 404, False),
        ("gateway_error", 500, False),
        ("gateway_error", 502, True),
        ("retriable_4xx", 409, True),
        ("retriable_4xx", 404, False),
    ],
)
async def test_a_status_is_tried_again(serving: Serving, on: str, status: int, again: bool) -> None:
    async with serving(http(route=retry(on))) as proxy:
        answer = f"HTTP/1.1 {status} Some | content-length: 2 | | no\\"
        followed = f"""
            origin << GET / HTTP/1.1 | host: a |
            origin >> {NO_CONTENT}
            client << {NO_CONTENT}
            """
        await proxy.play(
            f"""
            {ASK}
            origin << GET / HTTP/1.1 | host: a |
            origin >> {answer}
            {followed if again else f"client << {answer}"}
            """
        )


async def test_the_last_response_is_passed_on(serving: Serving) -> None:
    async with serving(http(route=retry("5xx"))) as proxy:
        answer = "HTTP/1.1 503 Busy | content-length: 2 | | no\\"
        await proxy.play(
            f"""
            {ASK}
            origin << GET / HTTP/1.1 | host: a |
            origin >> {answer}
            origin << GET / HTTP/1.1 | host: a |
            origin >> {answer}
            client << {answer}
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_5xx") == 2
        assert proxy.counter("http.web.downstream_rq_5xx") == 1


async def test_a_body_too_long_to_be_kept_is_not_sent_again(serving: Serving) -> None:
    async with serving(http(route=retry("reset, 5xx"))) as proxy:
        client = await proxy.party("client")
        request = b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 70000\r\n\r\n" + bytes(70_000)
        await client.say(request)
        origin = await proxy.party("origin")
        await origin.exactly(len(request))
        await proxy.play(
            """
            origin >> HTTP/1.1 503 Busy | content-length: 0 |
            client << HTTP/1.1 503 Busy | content-length: 0 |
            """
        )


async def test_the_route_timeout(serving: Serving) -> None:
    async with serving(http(route="timeout: 60ms")) as proxy:
        await proxy.play(
            f"""
            {ASK}
            origin << GET / HTTP/1.1 | host: a |
            {TIMED_OUT}
            origin << (reset)
            """
        )
        assert proxy.counted("cluster.app") == {
            "upstream_cx_total": 1,
            "upstream_cx_destroy": 1,
            "upstream_rq_total": 1,
            "upstream_rq_completed": 1,
            "upstream_rq_5xx": 1,
            "upstream_rq_timeout": 1,
        }
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(504, "UT")]


async def test_the_route_timeout_is_over_with_the_response_head(serving: Serving) -> None:
    async with serving(http(route="timeout: 60ms")) as proxy:
        await proxy.play(
            f"""
            {ASK}
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 200 OK | content-length: 2 | | o\\
            client << HTTP/1.1 200 OK | content-length: 2 | | o\\
            """
        )
        # What times out after it shows that its own time is over as well.
        await proxy.play(
            f"""
            client#2 >> GET / HTTP/1.1 | host: a |
            {TIMED_OUT.replace("client", "client#2")}
            origin >> k\\
            client << k\\
            """
        )


@pytest.mark.parametrize("endpoints", ["$deaf", "$origin"])
async def test_the_route_timeout_counts_the_way_to_a_connection(
    serving: Serving, endpoints: str
) -> None:
    cluster = "connect_timeout: 4s, circuit_breakers: {max_connections: 1}"
    yaml = http(route="timeout: 60ms", cluster=cluster, endpoints=endpoints)
    async with serving(yaml) as proxy:
        if endpoints == "$origin":
            await proxy.play(
                """
                client#2 >> GET / HTTP/1.1 | host: a |
                origin << GET / HTTP/1.1 | host: a |
                origin >> HTTP/1.1 200 OK | content-length: 2 | | o\\
                client#2 << HTTP/1.1 200 OK | content-length: 2 | | o\\
                """
            )
        await proxy.play(ASK + TIMED_OUT)
        assert proxy.counter("cluster.app.upstream_rq_timeout") == 1
        assert proxy.counter("cluster.app.upstream_cx_connect_timeout") == 0
        if endpoints == "$origin":
            await proxy.play("origin >> k\\ \n client#2 << k\\")
    assert (proxy.log[0]["status"], proxy.log[0]["flags"]) == (504, "UT")


async def test_the_route_timeout_counts_the_pauses_before_retries(serving: Serving) -> None:
    route = "timeout: 60ms, retry: {on: [connect_failure], backoff: {base: 60s, max: 60s}},"
    async with serving(http(route=route, endpoints="$refusing")) as proxy:
        await proxy.play(ASK + TIMED_OUT)
        assert proxy.counter("cluster.app.upstream_rq_timeout") == 1
    assert (proxy.log[0]["status"], proxy.log[0]["flags"]) == (504, "UT")


async def test_the_route_timeout_begins_with_the_end_of_the_request(serving: Serving) -> None:
    async with serving(http(route="timeout: 60ms")) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 4 | | on\\
            origin << POST / HTTP/1.1 | host: a | content-length: 4 | | on\\
            """
        )
        # What times out after it has begun shows that its own time does not run yet.
        await proxy.play(
            f"""
            client#2 >> GET / HTTP/1.1 | host: a |
            {TIMED_OUT.replace("client", "client#2")}
            client >> e!\\
            origin << e!\\
            {TIMED_OUT}
            """
        )


async def asked_first(proxy: Proxy) -> tuple[str, str]:
    """Return which of two upstreams is connected to first, and the other one."""
    async with trio.open_nursery() as nursery:
        first: list[str] = []

        async def look(name: str) -> None:
            await proxy.party(name)
            first.append(name)
            nursery.cancel_scope.cancel()

        nursery.start_soon(look, "origin")
        nursery.start_soon(look, "origin2")
    return first[0], "origin2" if first[0] == "origin" else "origin"


async def test_a_try_has_its_own_time(serving: Serving) -> None:
    route = retry("per_try_timeout", "per_try_timeout: 60ms")
    async with serving(http(route=route, endpoints=TWO)) as proxy:
        await proxy.play(ASK)
        # Round robin begins anywhere: whoever is asked first stays silent.
        heard, other = await asked_first(proxy)
        await proxy.play(
            f"""
            {heard} << GET / HTTP/1.1 | host: a |
            {heard} << (reset)
            {other} << GET / HTTP/1.1 | host: a |
            {other} >> {NO_CONTENT}
            client << {NO_CONTENT}
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_per_try_timeout") == 1
        assert proxy.counter("cluster.app.upstream_rq_retry_success") == 1


@pytest.mark.parametrize("predicate", ["previous_hosts", "none"])
async def test_where_a_further_try_is_made(serving: Serving, predicate: str) -> None:
    route = retry("5xx", f"retry_host_predicate: {predicate}") + HASHED
    yaml = http(route=route, cluster="lb_policy: maglev", endpoints=TWO)
    async with serving(yaml) as proxy:
        await proxy.play(ASK)
        heard, other = await asked_first(proxy)
        again = heard if predicate == "none" else other
        await proxy.play(
            f"""
            {heard} << GET / HTTP/1.1 | host: a |
            {heard} >> HTTP/1.1 503 Busy | content-length: 0 |
            {again} << GET / HTTP/1.1 | host: a |
            {again} >> {NO_CONTENT}
            client << {NO_CONTENT}
            """
        )


async def test_tries_that_all_take_too_long(serving: Serving) -> None:
    route = retry("per_try_timeout", "per_try_timeout: 40ms") + "timeout: 1s"
    async with serving(http(route=route)) as proxy:
        await proxy.play(
            f"""
            {ASK}
            origin << GET / HTTP/1.1 | host: a |
            origin << (reset)
            origin#2 << GET / HTTP/1.1 | host: a |
            origin#2 << (reset)
            {TIMED_OUT}
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_per_try_timeout") == 2
    assert proxy.log[0]["attempts"] == 2


# Circuit breakers.


async def test_too_many_requests(serving: Serving) -> None:
    async with serving(http(cluster="circuit_breakers: {max_requests: 1}")) as proxy:
        await proxy.play(
            f"""
            client#2 >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            {ASK}
            {failure("503 Service Unavailable", "too many requests to the cluster")}
            """
        )
        assert proxy.gauge("cluster.app.circuit_breakers.default.rq_open") == 1
        assert proxy.counter("cluster.app.upstream_rq_pending_overflow") == 1
        await proxy.play(f"origin >> {NO_CONTENT} \n client#2 << {NO_CONTENT}")
        assert proxy.gauge("cluster.app.circuit_breakers.default.rq_open") == 0
    assert proxy.log[0]["flags"] == "UO"


async def test_requests_wait_for_a_connection_in_turn(serving: Serving) -> None:
    async with serving(http(cluster="circuit_breakers: {max_connections: 1}")) as proxy:
        await proxy.play(
            """
            client#1 >> GET /1 HTTP/1.1 | host: a |
            origin << GET /1 HTTP/1.1 | host: a |
            client#2 >> GET /2 HTTP/1.1 | host: a |
            """
        )
        await proxy.until("cluster.app.upstream_rq_pending_active", 1)
        await proxy.play("client#3 >> GET /3 HTTP/1.1 | host: a |")
        await proxy.until("cluster.app.upstream_rq_pending_active", 2)
        await proxy.play(
            f"""
            origin >> {NO_CONTENT}
            client#1 << {NO_CONTENT}
            origin << GET /2 HTTP/1.1 | host: a |
            origin >> {NO_CONTENT}
            client#2 << {NO_CONTENT}
            origin << GET /3 HTTP/1.1 | host: a |
            origin >> {NO_CONTENT}
            client#3 << {NO_CONTENT}
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_pending_total") == 2


async def test_too_many_wait_for_a_connection(serving: Serving) -> None:
    breakers = "circuit_breakers: {max_connections: 1, max_pending_requests: 0}"
    async with serving(http(cluster=breakers)) as proxy:
        await proxy.play(
            f"""
            client#2 >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            {ASK}
            {failure("503 Service Unavailable", "too many requests wait for a connection")}
            """
        )
    assert proxy.log[0]["flags"] == "UO"


async def test_no_host_in_health(serving: Serving) -> None:
    async with serving(http(cluster="fail_traffic_on_panic: true")) as proxy:
        proxy.make_ill()
        await proxy.play(ASK + failure("503 Service Unavailable", "no healthy upstream"))
        assert proxy.counter("cluster.app.upstream_cx_none_healthy") == 1
    assert proxy.log[0]["flags"] == "UH"


async def test_no_more_retries_than_the_cluster_allows(serving: Serving) -> None:
    yaml = http(route=retry("5xx"), cluster="circuit_breakers: {max_retries: 0}")
    async with serving(yaml) as proxy:
        await proxy.play(
            f"""
            {ASK}
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 503 Busy | content-length: 0 |
            client << HTTP/1.1 503 Busy | content-length: 0 |
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_retry_overflow") == 1


async def all_fail_once(proxy: Proxy, numbers: range) -> None:
    """Have so many requests under way, each asked for once more after a 503."""
    for number in numbers:
        await proxy.play(
            f"""
            client#{number} >> GET /{number} HTTP/1.1 | host: a |
            origin#{number} << GET /{number} HTTP/1.1 | host: a |
            """
        )
    for number in numbers:
        await proxy.play(
            f"""
            origin#{number} >> HTTP/1.1 503 Busy | content-length: 0 |
            origin#{number} << GET /{number} HTTP/1.1 | host: a |
            """
        )


NONE = "circuit_breakers: {max_retries: 0}"


async def test_a_budget_always_allows_three_retries(serving: Serving) -> None:
    async with serving(http(route=retry("5xx", "budget: 1%"), cluster=NONE)) as proxy:
        await all_fail_once(proxy, range(1, 4))
        await proxy.play(
            """
            client#4 >> GET /4 HTTP/1.1 | host: a |
            origin#4 << GET /4 HTTP/1.1 | host: a |
            origin#4 >> HTTP/1.1 503 Busy | content-length: 0 |
            client#4 << HTTP/1.1 503 Busy | content-length: 0 |
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_retry") == 3
        assert proxy.counter("cluster.app.upstream_rq_retry_overflow") == 1


async def test_a_budget_is_a_share_of_the_requests_in_flight(serving: Serving) -> None:
    async with serving(http(route=retry("5xx", "budget: 80%"), cluster=NONE)) as proxy:
        await all_fail_once(proxy, range(1, 5))  # 3 of 4 are below 80 %, 4 of 5 no more
        await proxy.play(
            """
            client#5 >> GET /5 HTTP/1.1 | host: a |
            origin#5 << GET /5 HTTP/1.1 | host: a |
            origin#5 >> HTTP/1.1 503 Busy | content-length: 0 |
            client#5 << HTTP/1.1 503 Busy | content-length: 0 |
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_retry_overflow") == 1


async def test_a_cluster_has_a_budget_for_all_its_routes(serving: Serving) -> None:
    budget = "retry_budget: {budget_percent: 1%, min_retry_concurrency: 2}"
    breakers = f"circuit_breakers: {{max_retries: 0, {budget}}}"
    async with serving(http(route=retry("5xx"), cluster=breakers)) as proxy:
        await all_fail_once(proxy, range(1, 3))
        await proxy.play(
            """
            client#3 >> GET /3 HTTP/1.1 | host: a |
            origin#3 << GET /3 HTTP/1.1 | host: a |
            origin#3 >> HTTP/1.1 503 Busy | content-length: 0 |
            client#3 << HTTP/1.1 503 Busy | content-length: 0 |
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_retry") == 2
        assert proxy.counter("cluster.app.upstream_rq_retry_overflow") == 1


async def test_a_retry_that_is_over_makes_room_in_the_budget(serving: Serving) -> None:
    async with serving(http(route=retry("5xx", "budget: 1%"), cluster=NONE)) as proxy:
        await all_fail_once(proxy, range(1, 4))
        await proxy.play(f"origin#1 >> {NO_CONTENT} \n client#1 << {NO_CONTENT}")
        await proxy.play(
            f"""
            client#1 >> GET /4 HTTP/1.1 | host: a |
            origin#1 << GET /4 HTTP/1.1 | host: a |
            origin#1 >> HTTP/1.1 503 Busy | content-length: 0 |
            origin#1 << GET /4 HTTP/1.1 | host: a |
            origin#1 >> {NO_CONTENT}
            client#1 << {NO_CONTENT}
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_retry_overflow") == 0


# The pool.


async def test_requests_per_upstream_connection(serving: Serving) -> None:
    async with serving(http(cluster="max_requests_per_connection: 2")) as proxy:
        for party in ("origin", "origin", "origin#2"):
            await proxy.play(
                f"""
                {ASK}
                {party} << GET / HTTP/1.1 | host: a |
                {party} >> {NO_CONTENT}
                client << {NO_CONTENT}
                """
            )
        await proxy.play("origin << (fin)")


async def test_a_connection_that_had_its_requests_is_counted(serving: Serving) -> None:
    async with serving(http(cluster="max_requests_per_connection: 1")) as proxy:
        await proxy.play(
            f"""
            {ASK}
            origin << GET / HTTP/1.1 | host: a |
            origin >> {NO_CONTENT}
            client << {NO_CONTENT}
            origin << (fin)
            """
        )
        assert proxy.counter("cluster.app.upstream_cx_max_requests") == 1


async def test_an_idle_upstream_connection_is_closed(serving: Serving) -> None:
    async with serving(http(cluster="idle_timeout: 60ms")) as proxy:
        await proxy.play(
            f"""
            {ASK}
            origin << GET / HTTP/1.1 | host: a |
            origin >> {NO_CONTENT}
            client << {NO_CONTENT}
            origin << (fin)
            """
        )
        assert proxy.counter("cluster.app.upstream_cx_idle_timeout") == 1


async def test_an_idle_connection_makes_room_for_another_host(serving: Serving) -> None:
    yaml = http(endpoints=TWO, cluster="circuit_breakers: {max_connections: 1}")
    async with serving(yaml) as proxy:
        await proxy.play(ASK)
        first, second = await asked_first(proxy)
        await proxy.play(
            f"""
            {first} << GET / HTTP/1.1 | host: a |
            {first} >> {NO_CONTENT}
            client << {NO_CONTENT}
            {ASK}
            {second} << GET / HTTP/1.1 | host: a |
            {first} << (fin)
            {second} >> {NO_CONTENT}
            client << {NO_CONTENT}
            """
        )
