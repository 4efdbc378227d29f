"""One exchange after the other on a client's connection, as both sides see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from serving import http

if TYPE_CHECKING:
    from serving import Serving

DIRECT = "{match: {prefix: /}, direct_response: {status: 200, body: hi}}"


async def test_an_exchange(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET /a?b HTTP/1.1 | Host: A.org | X-Y:  z |
            origin << GET /a?b HTTP/1.1 | host: A.org | x-y: z |
            origin >> HTTP/1.1 200 Fine | Content-Length: 2 | Server: s | | ok\\
            client << HTTP/1.1 200 Fine | server: s | content-length: 2 | | ok\\
            """
        )
        assert proxy.counted("http.web") == {
            "downstream_cx_total": 1,
            "downstream_rq_total": 1,
            "downstream_rq_completed": 1,
            "downstream_rq_2xx": 1,
            "rq_total": 1,
        }
        assert proxy.counted("cluster.app") == {
            "upstream_cx_total": 1,
            "upstream_rq_total": 1,
            "upstream_rq_completed": 1,
            "upstream_rq_2xx": 1,
        }
        assert proxy.counter("http.web.downstream_cx_rx_bytes_total") == 43
        assert proxy.counter("http.web.downstream_cx_tx_bytes_total") == 53
        assert proxy.counter("cluster.app.upstream_cx_tx_bytes_total") == 42
        assert proxy.counter("cluster.app.upstream_cx_rx_bytes_total") == 53
    assert proxy.log == [
        {
            "method": "GET", "path": "/a?b", "protocol": "HTTP/1.1", "status": 200, "flags": None,
            "details": "via_upstream", "received": 0, "sent": 2, "host": proxy.origin.name,
            "failure": None, "attempts": 1,
        }
    ]  # fmt: skip


async def test_both_connections_are_kept(serving: Serving) -> None:
    async with serving(http()) as proxy:
        for number in range(3):
            await proxy.play(
                f"""
                client >> GET /{number} HTTP/1.1 | host: a |
                origin << GET /{number} HTTP/1.1 | host: a |
                origin >> HTTP/1.1 200 OK | content-length: 1 | | {number}\\
                client << HTTP/1.1 200 OK | content-length: 1 | | {number}\\
                """
            )
        assert proxy.counted("cluster.app")["upstream_cx_total"] == 1
        assert proxy.counted("http.web")["downstream_cx_total"] == 1


async def test_pipelined_requests_are_answered_in_order(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET /1 HTTP/1.1 | host: a | | POST /2 HTTP/1.1 | host: a \\
            client >> | content-length: 3 | | twoGET /3 HTTP/1.1 | host: a |
            origin << GET /1 HTTP/1.1 | host: a |
            origin >> HTTP/1.1 200 OK | content-length: 3 | | one\\
            origin << POST /2 HTTP/1.1 | host: a | content-length: 3 | | two\\
            origin >> HTTP/1.1 200 OK | transfer-encoding: chunked | | 3 | two | 0 |
            origin << GET /3 HTTP/1.1 | host: a |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 200 OK | content-length: 3 | | one\\
            client << HTTP/1.1 200 OK | transfer-encoding: chunked | | 3 | two | 0 |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_many_pipelined_direct_responses(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        client = await proxy.connect()
        await client.say(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 500)
        answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n"
        answer += b"content-length: 2\r\n\r\nhi"
        assert await client.exactly(500 * len(answer)) == 500 * answer
        assert proxy.counter("http.web.downstream_rq_2xx") == 500


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PATCH", "X-MY.OWN"])
async def test_a_status_without_a_body(serving: Serving, method: str) -> None:
    async with serving(http()) as proxy:
        for _ in range(2):
            await proxy.play(
                f"""
                client >> {method} / HTTP/1.1 | host: a |
                origin << {method} / HTTP/1.1 | host: a |
                origin >> HTTP/1.1 204 No Content | etag: "x" |
                client << HTTP/1.1 204 No Content | etag: "x" |
                """
            )
        assert proxy.counter("cluster.app.upstream_cx_total") == 1


@pytest.mark.parametrize("framing", ["content-length: 1000", "transfer-encoding: chunked"])
async def test_a_response_to_head_says_what_get_would(serving: Serving, framing: str) -> None:
    async with serving(http()) as proxy:
        for _ in range(2):
            await proxy.play(
                f"""
                client >> HEAD / HTTP/1.1 | host: a |
                origin << HEAD / HTTP/1.1 | host: a |
                origin >> HTTP/1.1 200 OK | {framing} |
                client << HTTP/1.1 200 OK | {framing} |
                """
            )
        assert proxy.counter("cluster.app.upstream_cx_total") == 1


@pytest.mark.parametrize("fields", ['etag: "x"', "content-length: 1000"])
async def test_a_304_says_what_the_upstream_says(serving: Serving, fields: str) -> None:
    async with serving(http()) as proxy:
        for _ in range(2):
            await proxy.play(
                f"""
                client >> GET / HTTP/1.1 | host: a |
                origin << GET / HTTP/1.1 | host: a |
                origin >> HTTP/1.1 304 Not Modified | {fields} |
                client << HTTP/1.1 304 Not Modified | {fields} |
                """
            )
        assert proxy.counter("cluster.app.upstream_cx_total") == 1


async def test_what_stands_behind_a_bodyless_response_is_not_another_response(
    serving: Serving,
) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET /1 HTTP/1.1 | host: a |
            origin << GET /1 HTTP/1.1 | host: a |
            origin >> HTTP/1.1 204 No Content | | HTTP/1.1 200 Evil | content-length: 0 |
            client << HTTP/1.1 204 No Content |
            client >> GET /2 HTTP/1.1 | host: a |
            origin << (fin)
            origin#2 << GET /2 HTTP/1.1 | host: a |
            origin#2 >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_a_response_that_nobody_asked_for_costs_the_connection(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET /1 HTTP/1.1 | host: a |
            origin << GET /1 HTTP/1.1 | host: a |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            origin >> HTTP/1.1 200 Evil | content-length: 0 |
            """
        )
        await proxy.play(
            """
            client >> GET /2 HTTP/1.1 | host: a |
            origin#2 << GET /2 HTTP/1.1 | host: a |
            origin#2 >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_a_client_that_wants_to_close(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a | connection: close |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content | connection: close |
            client << (fin)
            """
        )


async def test_an_upstream_that_wants_to_close(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET /1 HTTP/1.1 | host: a |
            origin << GET /1 HTTP/1.1 | host: a |
            origin >> HTTP/1.1 204 No Content | connection: close |
            client << HTTP/1.1 204 No Content |
            origin << (fin)
            client >> GET /2 HTTP/1.1 | host: a |
            origin#2 << GET /2 HTTP/1.1 | host: a |
            origin#2 >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_a_client_of_http_1_0(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.0 |
            origin << GET / HTTP/1.1 | host: ... |
            origin >> HTTP/1.1 200 OK | content-length: 2 | | ok\\
            client << HTTP/1.1 200 OK | content-length: 2 | connection: close | | ok\\
            client << (fin)
            """
        )
    assert proxy.log[0]["protocol"] == "HTTP/1.0"


async def test_keep_alive_with_http_1_0(serving: Serving) -> None:
    async with serving(http()) as proxy:
        for _ in range(2):
            await proxy.play(
                """
                client >> GET / HTTP/1.0 | Connection: Keep-Alive | host: a |
                origin << GET / HTTP/1.1 | host: a |
                origin >> HTTP/1.1 200 OK | content-length: 2 | | ok\\
                client << HTTP/1.1 200 OK | content-length: 2 | connection: keep-alive | | ok\\
                """
            )


async def test_chunks_for_a_client_of_http_1_0_are_a_body_until_close(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.0 | connection: keep-alive | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 200 OK | transfer-encoding: chunked | | 2 | he | 3 | llo | 0 |
            client << HTTP/1.1 200 OK | connection: close | | hello\\
            client << (fin)
            """
        )


async def test_an_upstream_of_http_1_0(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET /1 HTTP/1.1 | host: a |
            origin << GET /1 HTTP/1.1 | host: a |
            origin >> HTTP/1.0 200 OK | content-length: 2 | | ok\\
            client << HTTP/1.1 200 OK | content-length: 2 | | ok\\
            origin << (fin)
            """
        )


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_body_until_close_becomes_chunks(serving: Serving, version: str) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/{version} 200 OK | | he\\
            client << HTTP/1.1 200 OK | transfer-encoding: chunked | | 2 | he
            origin >> llo\\
            client << 3 | llo
            origin >> (fin)
            client << 0 |
            """
        )
        await proxy.play(
            """
            client >> GET /2 HTTP/1.1 | host: a |
            origin#2 << GET /2 HTTP/1.1 | host: a |
            origin#2 >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_a_body_until_close_for_a_client_of_http_1_0(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.0 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 200 OK | | hello\\
            client << HTTP/1.1 200 OK | connection: close | | hello\\
            origin >> (fin)
            client << (fin)
            """
        )


async def test_an_empty_line_before_a_request_is_passed_over(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> | GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_a_head_that_comes_byte_by_byte(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        client = await proxy.connect()
        for byte in b"GET / HTTP/1.1\r\nhost: a\r\n\r\n":
            await client.say(bytes([byte]))
            await proxy.quiet()
        assert await client.line() == b"HTTP/1.1 200 OK\r\n"


async def test_an_idle_connection_is_closed(serving: Serving) -> None:
    async with serving(http("idle_timeout: 60ms,", routes=DIRECT)) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            client << HTTP/1.1 200 OK | content-type: ... | content-length: 2 | | hi\\
            client << (fin)
            client#2 << (fin)
            """
        )
        assert proxy.counted("http.web")["downstream_cx_idle_timeout"] == 2
        assert proxy.counted("http.web")["downstream_rq_total"] == 1


async def test_a_slow_head_times_out(serving: Serving) -> None:
    async with serving(http("request_headers_timeout: 60ms,")) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: \\
            client << HTTP/1.1 408 Request Timeout | content-length: 0 | connection: close |
            client << (fin)
            """
        )
        assert proxy.counted("http.web") == {
            "downstream_cx_total": 1,
            "downstream_cx_destroy": 1,
            "downstream_rq_total": 1,
            "downstream_rq_completed": 1,
            "downstream_rq_4xx": 1,
            "downstream_rq_header_timeout": 1,
        }
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(408, None)]
    assert proxy.log[0]["details"] == "request_header_timeout"


async def test_drops_of_a_head_win_no_time(serving: Serving) -> None:
    async with serving(http("request_headers_timeout: 100ms,")) as proxy:
        client = await proxy.connect()
        with pytest.raises(OSError):  # noqa: PT012
            for byte in b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"x" * 10_000:
                await client.say(bytes([byte]))
                await proxy.quiet()
        assert await client.line() == b"HTTP/1.1 408 Request Timeout\r\n"


@pytest.mark.parametrize("size", [2000, 2048, 2049, 100_000])
async def test_a_head_that_is_too_large(serving: Serving, size: int) -> None:
    async with serving(http("max_request_headers: 2048B,", routes=DIRECT)) as proxy:
        client = await proxy.connect()
        frame = len(b"GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n")
        await client.say(b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"x" * (size - frame) + b"\r\n\r\n")
        status = b"200 OK" if size <= 2048 else b"431 Request Header Fields Too Large"
        assert await client.line() == b"HTTP/1.1 %b\r\n" % status


async def test_too_many_fields(serving: Serving) -> None:
    async with serving(http("max_headers_count: 5,", routes=DIRECT)) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a | a: 1 | b: 2 | c: 3 | d: 4 |
            client << HTTP/1.1 200 OK | content-type: ... | content-length: 2 | | hi\\
            client >> GET / HTTP/1.1 | host: a | a: 1 | b: 2 | c: 3 | d: 4 | e: 5 |
            client << HTTP/1.1 431 ... | content-length: 0 | connection: close |
            client << (fin)
            """
        )


async def test_requests_per_connection(serving: Serving) -> None:
    async with serving(http("max_requests_per_connection: 2,", routes=DIRECT)) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            client << HTTP/1.1 200 OK | content-type: ... | content-length: 2 | | hi\\
            client >> GET / HTTP/1.1 | host: a |
            client << HTTP/1.1 200 OK | content-type: ... | content-length: 2 \\
            client << | connection: close | | hi\\
            client << (fin)
            """
        )
        assert proxy.counter("http.web.downstream_cx_max_requests_reached") == 1


async def test_the_longest_life_of_a_connection(serving: Serving) -> None:
    async with serving(http("max_connection_duration: 100ms,")) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin << (reset)
            client << HTTP/1.1 504 Gateway Timeout | content-length: 0 | connection: close |
            client << (fin)
            """
        )
        assert proxy.counter("http.web.downstream_cx_max_duration_reached") == 1
    assert proxy.log[0]["flags"] == "DT"


async def test_a_malformed_request_is_refused_and_logged(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a | b c: d | | GET / HTTP/1.1 | host: a |
            client << HTTP/1.1 400 Bad Request | content-length: 0 | connection: close |
            client << (fin)
            """
        )
        assert not proxy.origin.waiting()
        assert proxy.counter("http.web.downstream_cx_protocol_error") == 1
        assert proxy.counter("http.web.downstream_rq_4xx") == 1
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(400, "DPE")]


async def test_a_request_that_was_refused_counts_as_one(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 |
            client << HTTP/1.1 400 Bad Request | content-length: 0 | connection: close |
            client >> (close)
            """
        )
        await proxy.until("http.web.downstream_cx_active")
        assert proxy.counted("http.web") == {
            "downstream_cx_total": 1,
            "downstream_cx_destroy": 1,
            "downstream_cx_protocol_error": 1,
            "downstream_rq_total": 1,
            "downstream_rq_completed": 1,
            "downstream_rq_4xx": 1,
        }


async def test_a_client_that_keeps_a_refused_connection_open(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 |
            client << HTTP/1.1 400 Bad Request | content-length: 0 | connection: close |
            client << (fin)
            """
        )
        await proxy.until("http.web.downstream_cx_active")
        counted = proxy.counted("http.web")
        assert "downstream_rq_header_timeout" not in counted
        assert counted["downstream_cx_delayed_close_timeout"] == 1
