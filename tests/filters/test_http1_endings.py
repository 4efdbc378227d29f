"""Either side leaves, at every point of an exchange: the other one is told, and nothing is left."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import trio
from dialogue import RESET_ON_CLOSE
from serving import http

if TYPE_CHECKING:
    from serving import Serving

ENDINGS = pytest.mark.parametrize("ending", ["(close)", "(reset)"])
REQUEST = """
    client >> GET / HTTP/1.1 | host: a |
    origin << GET / HTTP/1.1 | host: a |
    """
UPLOAD = """
    client >> POST / HTTP/1.1 | host: a | content-length: 1000000 |
    origin << POST / HTTP/1.1 | host: a | content-length: 1000000 |
    """


# The proxy leaves.


async def test_a_request_that_meets_the_idle_close_is_answered(serving: Serving) -> None:
    """It had arrived when the time was over, though nobody had seen it: no reset, no silence."""
    routes = "{match: {prefix: /}, direct_response: {status: 204}}"
    async with serving(http(routes=routes)) as proxy:
        talk = "client >> GET / HTTP/1.1 | host: a | \n client << HTTP/1.1 204 No Content |"
        await proxy.play(talk)
        await proxy.quiet()
        (lifetime,) = proxy.plane._listeners["web"].living
        (await proxy.party("client")).say_at_once(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        lifetime.expire()
        await proxy.play("client << HTTP/1.1 204 No Content |")
        await proxy.quiet()
        lifetime.expire()
        await proxy.play("client << (fin)")


# The client leaves.


@ENDINGS
@pytest.mark.parametrize("said", ["", "GET / HT\\", "GET / HTTP/1.1 | host: a"])
async def test_a_client_leaves_before_its_request(serving: Serving, ending: str, said: str) -> None:
    async with serving(http()) as proxy:
        client = await proxy.party("client")
        await proxy.quiet()
        if said:
            await proxy.play(f"client >> {said}")
        await proxy.play(f"client >> {ending}")
        await proxy.until("http.web.downstream_cx_active")
        assert client.heard == b""
        assert not proxy.origin.waiting()
        assert "downstream_rq_total" not in proxy.counted("http.web")
    assert proxy.log == []


@ENDINGS
async def test_a_client_leaves_while_it_waits(serving: Serving, ending: str) -> None:
    async with serving(http()) as proxy:
        await proxy.play(f"{REQUEST} \n client >> {ending} \n origin << (reset)")
        assert proxy.counted("http.web") == {
            "downstream_cx_total": 1,
            "downstream_cx_destroy": 1,
            "downstream_rq_total": 1,
            "downstream_rq_rx_reset": 1,
            "rq_total": 1,
        }
        assert proxy.counted("cluster.app") == {
            "upstream_cx_total": 1,
            "upstream_cx_destroy": 1,
            "upstream_rq_total": 1,
        }
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(0, "DC")]


@ENDINGS
@pytest.mark.parametrize("framing", ["content-length: 9", "transfer-encoding: chunked", "x: close"])
async def test_a_client_leaves_in_a_response(serving: Serving, ending: str, framing: str) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            {REQUEST}
            origin >> HTTP/1.1 200 OK | {framing} |
            client << HTTP/1.1 200 OK | ... |
            """
            if framing != "x: close"
            else f"""
            {REQUEST}
            origin >> HTTP/1.1 200 OK | {framing} |
            client << HTTP/1.1 200 OK | ... | ... |
            """
        )
        await proxy.play(f"client >> {ending} \n origin << (reset)")
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(200, "DC")]


@ENDINGS
async def test_a_client_leaves_in_a_long_response(serving: Serving, ending: str) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            {REQUEST}
            origin >> HTTP/1.1 200 OK | content-length: 100000 | | begin\\
            client << HTTP/1.1 200 OK | content-length: 100000 | | begin\\
            client >> {ending}
            origin << (reset)
            """
        )


@ENDINGS
async def test_a_client_leaves_in_its_request(serving: Serving, ending: str) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            {UPLOAD}
            client >> hello\\
            origin << hello\\
            client >> {ending}
            origin << (reset)
            """
        )
        assert proxy.counter("cluster.app.upstream_cx_destroy_local_with_active_rq") == 1
    assert [(line["status"], line["flags"], line["received"]) for line in proxy.log] == [
        (0, "DC", 5)
    ]


@ENDINGS
async def test_a_client_leaves_in_its_chunks(serving: Serving, ending: str) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            client >> POST / HTTP/1.1 | host: a | transfer-encoding: chunked | | 5 | hello
            origin << POST / HTTP/1.1 | host: a | transfer-encoding: chunked | | 5 | hello
            client >> {ending}
            origin << (reset)
            """
        )


async def test_a_client_leaves_while_the_upstream_does_not_read(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play("client >> POST / HTTP/1.1 | host: a | content-length: 50000000 |")
        client = await proxy.party("client")
        with trio.move_on_after(0.2):
            await client.say_slowly(b"x" * 49_000_000)
        client.reset()
        await proxy.until("cluster.app.upstream_rq_active")


@ENDINGS
async def test_a_client_leaves_while_it_waits_for_a_connection(
    serving: Serving, ending: str
) -> None:
    async with serving(http(cluster="circuit_breakers: {max_connections: 1}")) as proxy:
        await proxy.play(f"{REQUEST} \n client#2 >> GET /2 HTTP/1.1 | host: a |")
        await proxy.until("cluster.app.upstream_rq_pending_active", 1)
        await proxy.play(f"client#2 >> {ending}")
        await proxy.until("cluster.app.upstream_rq_pending_active", 0)


@ENDINGS
async def test_a_client_leaves_while_the_proxy_connects(serving: Serving, ending: str) -> None:
    async with serving(http(endpoints="$deaf", cluster="connect_timeout: 4s")) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        await proxy.until("cluster.app.upstream_cx_active", 1)
        await proxy.play(f"client >> {ending}")
        await proxy.until("cluster.app.upstream_cx_active", 0)


@ENDINGS
async def test_a_client_leaves_before_a_retry(serving: Serving, ending: str) -> None:
    route = "retry: {on: [connect_failure], backoff: {base: 60s, max: 60s}},"
    async with serving(http(route=route, endpoints="$refusing")) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        assert proxy.counter("cluster.app.upstream_rq_retry_backoff_exponential") == 1
        await proxy.play(f"client >> {ending}")
        await proxy.until("http.web.downstream_rq_active", 0)
    assert proxy.log[0]["flags"] == "DC"


@ENDINGS
async def test_a_client_leaves_in_the_middle_of_a_request_that_waits(
    serving: Serving, ending: str
) -> None:
    """Nobody reads its body, and so nobody would come to its end."""
    async with serving(http(endpoints="$deaf", cluster="connect_timeout: 60s")) as proxy:
        await proxy.play(
            f"""
            client >> POST / HTTP/1.1 | host: a | content-length: 100000 | | some\\
            client >> {ending}
            """
        )
        await proxy.until("http.web.downstream_rq_active", 0)
    assert proxy.log[0]["flags"] == "DC"


@ENDINGS
async def test_a_client_leaves_while_both_messages_flow(
    serving: Serving, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            client >> POST / HTTP/1.1 | host: a | transfer-encoding: chunked | | 5 | hello
            origin << POST / HTTP/1.1 | host: a | transfer-encoding: chunked | | 5 | hello
            origin >> HTTP/1.1 103 Early Hints |
            client << HTTP/1.1 103 Early Hints |
            client >> {ending}
            origin << (reset)
            """
        )
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(0, "DC")]
    assert not caplog.records


@ENDINGS
async def test_a_client_leaves_before_it_is_invited_to_go_on(
    serving: Serving, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(http(cluster="circuit_breakers: {max_connections: 1}")) as proxy:
        await proxy.play(
            f"""
            client#2 >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            client >> POST / HTTP/1.1 | host: a | content-length: 5 | expect: 100-continue |
            client >> {ending}
            """
        )
        await proxy.play("origin >> (close) \n client#2 >> (close)")
    assert {line["flags"] for line in proxy.log} == {"DC", "UC"}
    assert not caplog.records


async def test_a_client_is_gone_when_its_request_is_read(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(http()) as proxy:
        # Connected, said and gone without a turn of the loop: the reactor has not seen it yet.
        with socket.create_connection(proxy.addresses["web"]) as client:
            client.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n")
            client.sendall(b"expect: 100-continue\r\n\r\n")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        await proxy.play("origin << POST / HTTP/1.1 | ... | ... | \n origin << (reset)")
    assert proxy.log[0]["flags"] == "DC"
    assert not caplog.records


# A client that has only closed its half, which it says with its request.

ANSWERED = """
    origin << GET / HTTP/1.1 | host: a |
    origin >> HTTP/1.1 200 OK | content-length: 2 | | ok\\
    client << HTTP/1.1 200 OK | content-length: 2 | | ok\\
    """


async def test_a_client_that_closed_its_half_with_the_request_is_answered(
    serving: Serving,
) -> None:
    async with serving(http()) as proxy:
        client = await proxy.party("client")
        client.say_at_once(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        client.finish()
        await proxy.play(f"{ANSWERED} \n client << (fin)")
    assert proxy.log[0]["flags"] is None


async def test_a_client_that_closed_its_half_with_a_later_request_is_answered(
    serving: Serving,
) -> None:
    async with serving(http()) as proxy:
        await proxy.play(f"client >> GET / HTTP/1.1 | host: a | {ANSWERED}")
        client = await proxy.party("client")
        client.say_at_once(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 2)
        client.finish()
        await proxy.play(f"{ANSWERED} {ANSWERED} \n client << (fin)")
    assert [line["flags"] for line in proxy.log] == [None] * 3


@pytest.mark.parametrize(
    ("framing", "body"),
    [("content-length: 3", "one"), ("transfer-encoding: chunked", "3 | one | 0 | | ")],
)
async def test_a_client_that_closed_its_half_with_a_long_request_is_answered(
    serving: Serving, framing: str, body: str
) -> None:
    """Its FIN is there long before anybody reads its body."""
    async with serving(http(cluster="circuit_breakers: {max_connections: 1}")) as proxy:
        await proxy.play(
            f"""
            client#2 >> GET /2 HTTP/1.1 | host: a |
            origin << GET /2 HTTP/1.1 | host: a |
            client >> POST / HTTP/1.1 | host: a | {framing} |
            """
        )
        await proxy.until("cluster.app.upstream_rq_pending_active", 1)
        await proxy.play(
            f"""
            client >> {body}\\
            client >> (fin)
            origin >> HTTP/1.1 204 No Content |
            client#2 << HTTP/1.1 204 No Content |
            origin << POST / HTTP/1.1 | host: a | {framing} | | {body}\\
            origin >> HTTP/1.1 200 OK | content-length: 2 | | ok\\
            client << HTTP/1.1 200 OK | content-length: 2 | | ok\\
            client << (fin)
            """
        )
    assert [line["flags"] for line in proxy.log] == [None, None]


async def test_a_client_that_closes_its_half_with_the_end_of_its_request_is_answered(
    serving: Serving,
) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 4 | | on\\
            origin << POST / HTTP/1.1 | host: a | content-length: 4 | | on\\
            """
        )
        client = await proxy.party("client")
        client.say_at_once(b"e!")
        client.finish()
        await proxy.play(
            """
            origin << e!\\
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            client << (fin)
            """
        )


async def test_a_client_that_closed_its_half_and_then_resets_has_left(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await proxy.party("client")
        client.say_at_once(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        client.finish()
        await proxy.play("origin << GET / HTTP/1.1 | host: a | \n client >> (reset)")
        await proxy.play("origin << (reset)")
    assert proxy.log[0]["flags"] == "DC"


# The upstream leaves.


@pytest.mark.parametrize(
    ("said", "ending", "reason"),
    [
        ("", "(close)", "closed before the response"),
        ("", "(reset)", "Connection reset by peer"),
        ("HTTP/1.1 200 O\\", "(close)", "closed in the middle of the response head"),
        ("HTTP/1.1 200 OK | x: y", "(close)", "closed in the middle of the response head"),
        ("HTTP/1.1 200 OK | x: y", "(reset)", "Connection reset by peer"),
        ("HTTP/1.1 103 Early Hints | ", "(close)", "closed before the response"),
    ],
)
async def test_an_upstream_leaves_before_its_response(
    serving: Serving, said: str, ending: str, reason: str
) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            {REQUEST}
            {"origin >> " + said if said else ""}
            {"client << " + said if " 103 " in said else ""}
            origin >> {ending}
            client << HTTP/1.1 503 Service Unavailable | content-type: text/plain; charset=utf-8
            client << content-length: ... | | {reason}\\n\\
            """
        )
        assert proxy.counted("cluster.app") == {
            "upstream_cx_total": 1,
            "upstream_cx_destroy": 1,
            "upstream_rq_total": 1,
            "upstream_rq_completed": 1,
            "upstream_rq_5xx": 1,
            "upstream_rq_rx_reset": 1,
        }
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(503, "UC")]
    assert proxy.log[0]["failure"] == reason


@ENDINGS
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("content-length: 9", "hel"),
        ("content-length: 100000", "hel"),
        ("transfer-encoding: chunked", "3\\r\\nhel\\r\\n"),
        ("transfer-encoding: chunked", "3\\r\\nhel\\r\\n0\\r\\n"),
    ],
)
async def test_an_upstream_leaves_in_its_response(
    serving: Serving, ending: str, framing: str, body: str
) -> None:
    """The client must not take what it has for the whole response."""
    async with serving(http()) as proxy:
        heard = body.removesuffix("0\\r\\n")
        await proxy.play(
            f"""
            {REQUEST}
            origin >> HTTP/1.1 200 OK | {framing} | | {body}\\
            client << HTTP/1.1 200 OK | {framing} | | {heard}\\
            origin >> {ending}
            client << (reset)
            """
        )
        assert proxy.counted("http.web") == {
            "downstream_cx_total": 1,
            "downstream_cx_destroy": 1,
            "downstream_rq_total": 1,
            "downstream_rq_completed": 1,
            "downstream_rq_2xx": 1,
            "downstream_rq_tx_reset": 1,
            "rq_reset_after_downstream_response_started": 1,
            "rq_total": 1,
        }
        assert proxy.counter("cluster.app.upstream_rq_rx_reset") == 1
    assert [(line["status"], line["flags"], line["sent"]) for line in proxy.log] == [(200, "UC", 3)]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("(close)", "closed before the response"), ("(reset)", "Connection reset by peer")],
)
async def test_an_upstream_leaves_while_both_messages_flow(
    serving: Serving, ending: str, reason: str
) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            client >> POST / HTTP/1.1 | host: a | transfer-encoding: chunked | | 5 | hello
            origin << POST / HTTP/1.1 | host: a | transfer-encoding: chunked | | 5 | hello
            origin >> HTTP/1.1 103 Early Hints |
            client << HTTP/1.1 103 Early Hints |
            origin >> {ending}
            client << HTTP/1.1 503 Service Unavailable | content-type: text/plain; charset=utf-8
            client << content-length: ... | connection: close | | {reason}\\n\\
            client << (fin)
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_rx_reset") == 1
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(503, "UC")]
    assert proxy.log[0]["failure"] == reason


@pytest.mark.parametrize(
    ("minor", "heard"),
    [(0, "connection: close | | hel\\"), (1, "transfer-encoding: chunked | | 3 | hel")],
)
async def test_a_response_that_stands_still_is_cut(
    serving: Serving, minor: int, heard: str
) -> None:
    async with serving(http("stream_idle_timeout: 60ms,")) as proxy:
        await proxy.play(
            f"""
            client >> GET / HTTP/1.{minor} | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 200 OK | | hel\\
            client << HTTP/1.1 200 OK | {heard}
            client << (reset)
            origin << (reset)
            """
        )
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(200, "SI")]


async def test_a_body_until_close_that_is_reset_is_cut(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            {REQUEST}
            origin >> HTTP/1.1 200 OK | | hel\\
            client << HTTP/1.1 200 OK | transfer-encoding: chunked | | 3 | hel
            origin >> (reset)
            client << (reset)
            """
        )


async def test_an_upstream_closes_a_kept_connection(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            {REQUEST}
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            origin >> (close)
            """
        )
        await proxy.until("cluster.app.upstream_cx_active", 0)


async def test_a_kept_connection_that_was_closed_is_not_used(serving: Serving) -> None:
    async with serving(http()) as proxy:
        for method in ("GET", "POST"):
            await proxy.play(
                f"""
                client >> {method} / HTTP/1.1 | host: a |
                origin#{method} << {method} / HTTP/1.1 | host: a |
                origin#{method} >> HTTP/1.1 204 No Content |
                client << HTTP/1.1 204 No Content |
                origin#{method} >> (close)
                """
            )
        assert proxy.counter("http.web.downstream_rq_2xx") == 2


@ENDINGS
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_a_kept_connection_closed_under_a_safe_request(
    serving: Serving, ending: str, method: str
) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            client >> {method} /2 HTTP/1.1 | host: a |
            origin << {method} /2 HTTP/1.1 | host: a |
            origin >> {ending}
            origin#2 << {method} /2 HTTP/1.1 | host: a |
            origin#2 >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )
    assert [line["status"] for line in proxy.log] == [204, 204]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("ending", "reason"),
    [("(close)", "closed before the response"), ("(reset)", "Connection reset by peer")],
)
async def test_a_kept_connection_closed_under_any_other_request(
    serving: Serving, method: str, ending: str, reason: str
) -> None:
    """Nobody knows whether the upstream has done it: it must not be done twice."""
    async with serving(http()) as proxy:
        await proxy.play(
            f"""
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            client >> {method} /2 HTTP/1.1 | host: a |
            origin << {method} /2 HTTP/1.1 | host: a |
            origin >> {ending}
            client << HTTP/1.1 503 Service Unavailable | content-type: text/plain; charset=utf-8
            client << content-length: ... | | {reason}\\n\\
            """
        )
        assert not proxy.origin.waiting()
    assert proxy.log[1]["flags"] == "UC"
