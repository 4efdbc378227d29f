"""What the proxy changes in a message on its way, and what it never does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from serving import http

if TYPE_CHECKING:
    from serving import Serving

MARKING = http().replace("use_remote_address: false, ", "")
ANSWER = """
    origin >> HTTP/1.1 204 No Content |
    client << HTTP/1.1 204 No Content |
    """


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("x: y |", "127.0.0.1"),
        ("x: y | x-forwarded-for: 1.1.1.1 |", "1.1.1.1, 127.0.0.1"),
        ("X-Forwarded-For: 1.1.1.1 | x: y | x-forwarded-for: 2.2.2.2, 3.3.3.3 |",
         "1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1"),
        ("x: y | x-forwarded-proto: https |", "127.0.0.1"),
    ],
)  # fmt: skip
async def test_who_the_client_is(serving: Serving, sent: str, forwarded: str) -> None:
    async with serving(MARKING) as proxy:
        await proxy.play(
            f"""
            client >> GET / HTTP/1.1 | host: a | {sent}
            origin << GET / HTTP/1.1 | host: a | x: y
            origin << x-forwarded-for: {forwarded} | x-forwarded-proto: http |
            {ANSWER}
            """
        )


async def test_the_scheme_is_that_of_the_connection(serving: Serving) -> None:
    async with serving(MARKING) as proxy:
        await proxy.play(
            f"""
            client >> GET https://a/ HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a
            origin << x-forwarded-for: 127.0.0.1 | x-forwarded-proto: http |
            {ANSWER}
            """
        )


async def test_a_request_id(serving: Serving) -> None:
    async with serving(http().replace("generate_request_id: false, ", "")) as proxy:
        await proxy.play(
            f"""
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a | x-request-id: ...-...-4...-...-... |
            {ANSWER}
            client >> GET / HTTP/1.1 | host: a | X-Request-Id: mine |
            origin << GET / HTTP/1.1 | host: a | x-request-id: mine |
            {ANSWER}
            """
        )


async def test_via_on_requests(serving: Serving) -> None:
    async with serving(http("via: edge,")) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a | via: 1.0 fred |
            origin << GET / HTTP/1.1 | host: a | via: 1.0 fred | via: 1.1 edge |
            client >> (reset)
            origin << (reset)
            """
        )


async def test_via_on_responses(serving: Serving) -> None:
    async with serving(http("via: edge,")) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a | via: 1.1 edge |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content | via: 1.1 edge |
            """
        )


async def test_what_concerns_one_hop_ends_there(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a | Connection: X-Mine, keep-alive | X-Mine: 1
            client >> Keep-Alive: timeout=5 | proxy-connection: close | TE: gzip | x: y |
            origin << GET / HTTP/1.1 | host: a | x: y |
            origin >> HTTP/1.1 200 OK | connection: x-yours, keep-alive | x-yours: 1
            origin >> keep-alive: timeout=5 | content-length: 0 | y: z |
            client << HTTP/1.1 200 OK | y: z | content-length: 0 |
            """
        )


async def test_changes_to_headers(serving: Serving) -> None:
    routes = """{match: {prefix: /}, route: {cluster: app},
      request_headers: {set: {x-a: "1"}, add: {x-b: "2"}, remove: [cookie]},
      response_headers: {set: {server: edge}, add: {x-path: "%REQ(:PATH)%"}, remove: [x-inner]}}"""
    async with serving(http(routes=routes)) as proxy:
        await proxy.play(
            """
            client >> GET /p HTTP/1.1 | host: a | x-a: old | x-b: 1 | cookie: c |
            origin << GET /p HTTP/1.1 | host: a | x-b: 1 | x-a: 1 | x-b: 2 |
            origin >> HTTP/1.1 200 OK | server: app | x-inner: y | content-length: 0 |
            client << HTTP/1.1 200 OK | server: edge | x-path: /p | content-length: 0 |
            """
        )


async def test_no_route(serving: Serving) -> None:
    routes = "{match: {path: /a}, route: {cluster: app}}"
    async with serving(http(routes=routes)) as proxy:
        await proxy.play(
            """
            client >> GET /b HTTP/1.1 | host: a |
            client << HTTP/1.1 404 Not Found | content-type: ... | content-length: ...
            client << | no route matches\\n\\
            """
        )
        assert proxy.counter("http.web.no_route") == 1
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(404, "NR")]


@pytest.mark.parametrize(
    ("redirect", "location"),
    [
        ("scheme: https", "https://a:81/x?y"),
        ("host: b.org, status: 308", "http://b.org/x?y"),
        ("path: /new, strip_query: true", "http://a:81/new"),
        ("prefix_rewrite: /z/", "http://a:81/z/x?y"),
    ],
)
async def test_a_redirect(serving: Serving, redirect: str, location: str) -> None:
    routes = f"{{match: {{prefix: /}}, redirect: {{ {redirect} }}}}"
    async with serving(http(routes=routes)) as proxy:
        await proxy.play(
            f"""
            client >> GET /x?y HTTP/1.1 | host: a:81 |
            client << HTTP/1.1 30... | location: {location} | content-length: 0 |
            """
        )
        assert proxy.counter("http.web.rq_redirect") == 1


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [
        ("GET", 200, b"hi"),
        ("GET", 503, b"hi"),
        pytest.param("GET", 204, b""),
        pytest.param("GET", 304, b""),
        pytest.param("HEAD", 200, b""),
        pytest.param("HEAD", 503, b""),
    ],
)
async def test_a_direct_response(serving: Serving, method: str, status: int, body: bytes) -> None:
    routes = f"{{match: {{prefix: /}}, direct_response: {{status: {status}, body: hi}}}}"
    async with serving(http(routes=routes)) as proxy:
        client = await proxy.connect()
        for _ in range(2):
            await client.say(f"{method} / HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            head = await client.head()
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert (b"\r\ncontent-length: 2\r\n" in head) == bool(body)
            assert await client.exactly(len(body)) == body
        assert client.unasked() == b""
        assert proxy.counter("http.web.rq_direct_response") == 2


async def test_a_failure_answers_head_without_a_body(serving: Serving) -> None:
    async with serving(http(endpoints="$refusing")) as proxy:
        client = await proxy.connect()
        for _ in range(2):
            await client.say(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert (await client.head()).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


async def test_rewrites(serving: Serving) -> None:
    async with serving(http(route="prefix_rewrite: /new/, host_rewrite: inner.org")) as proxy:
        await proxy.play(
            f"""
            client >> GET /x?y HTTP/1.1 | host: a |
            origin << GET /new/x?y HTTP/1.1 | host: inner.org | x-envoy-original-path: /x?y |
            {ANSWER}
            """
        )


async def test_the_log_has_the_path_that_the_client_asked_for(serving: Serving) -> None:
    async with serving(http(route="prefix_rewrite: /new/")) as proxy:
        await proxy.play(
            f"""
            client >> GET /x?y HTTP/1.1 | host: a |
            origin << GET /new/x?y HTTP/1.1 | host: a | x-envoy-original-path: /x?y |
            {ANSWER}
            """
        )
    assert proxy.log[0]["path"] == "/x?y"
