"""HTTP/2 to a host: requests share connections, and are tried again where that is safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from h2_peer import H2Peer
from h2_websockets import WEBSOCKETS
from serving import http

from trioproxy.codec.messages import Request

if TYPE_CHECKING:
    from serving import Proxy, Serving

HTTP2 = "protocol: http2,"


async def accept(proxy: Proxy) -> H2Peer:
    """Take the next connection to the origin."""
    return await H2Peer.greet(await proxy.origin.accept(), client=False)


async def test_an_exchange(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> GET /a?b HTTP/1.1 | host: a.org | x-y: z | te: trailers |")
        origin = await accept(proxy)
        number, asked = await origin.asked()
        assert asked.headers == {
            ":method": "GET", ":scheme": "http", ":authority": "a.org", ":path": "/a?b",
            "x-y": "z", "te": "trailers", "taken": "yes",
        }  # fmt: skip
        await origin.respond(number, b"ok", headers={"content-length": "2", "server": "s"})
        await proxy.play("client << HTTP/1.1 200 OK | server: s | content-length: 2 | | ok\\")
        assert proxy.counter("cluster.app.upstream_cx_http2_total") == 1
        assert proxy.counter("cluster.app.upstream_rq_2xx") == 1
    assert proxy.log == [
        {
            "method": "GET", "path": "/a?b", "protocol": "HTTP/1.1", "status": 200, "flags": None,
            "details": "via_upstream", "received": 0, "sent": 2, "host": proxy.origin.name,
            "failure": None, "attempts": 1,
        }
    ]  # fmt: skip


async def test_requests_share_a_connection(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        for number in range(3):
            await proxy.play(f"client#{number} >> GET /{number} HTTP/1.1 | host: a |")
        origin = await accept(proxy)
        streams = dict([await origin.asked() for _ in range(3)])
        for stream, asked in reversed(streams.items()):
            await origin.respond(stream, asked.headers[":path"].encode())
        for number in range(3):
            client = await proxy.party(f"client#{number}")
            assert b"200" in await client.line()
        assert proxy.counter("cluster.app.upstream_cx_total") == 1
        assert not proxy.origin.waiting()


async def test_more_than_the_host_allows_at_a_time_wait(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2 + "circuit_breakers: {max_connections: 1},")) as proxy:
        await proxy.play("client >> GET /0 HTTP/1.1 | host: a |")
        peer = await proxy.origin.accept()
        origin = H2Peer(peer, client=False, most_streams=1)
        await origin.flush()
        first, _ = await origin.asked()
        await proxy.play("client#2 >> GET /1 HTTP/1.1 | host: a |")
        await proxy.until("cluster.app.upstream_rq_pending_active", 1)
        await origin.respond(first, b"ok")
        second, asked = await origin.asked()
        assert asked.headers[":path"] == "/1"
        await origin.respond(second, b"ok")
        assert b"200" in await (await proxy.party("client#2")).line()


async def test_more_than_one_connection_bears_have_another(serving: Serving) -> None:
    options = "http2_options: {max_concurrent_streams: 1},"
    async with serving(http(cluster=HTTP2 + options)) as proxy:
        origins = []
        for number in range(2):
            await proxy.play(f"client#{number} >> GET /{number} HTTP/1.1 | host: a |")
            origins.append(await accept(proxy))
        for number, origin in enumerate(origins):
            stream, _ = await origin.asked()
            await origin.respond(stream, b"ok")
            assert b"200" in await (await proxy.party(f"client#{number}")).line()
        assert proxy.counter("cluster.app.upstream_cx_total") == 2


async def test_bodies_and_trailers_both_ways(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> POST / HTTP/1.1 | host: a | transfer-encoding: chunked |")
        origin = await accept(proxy)
        number, asked = await origin.asked(ended=False)
        assert "content-length" not in asked.headers
        await proxy.play("client >> 3 | abc | 0 | x-sum: 3 |")
        await origin.until(lambda: origin.heard[number].ended)
        assert (asked.body, asked.trailers) == (b"abc", {"x-sum": "3"})
        await origin.respond(number, b"def", ended=False)
        await origin.trailers(number, {"x-sum": "4"})
        await proxy.play(
            """
            client << HTTP/1.1 200 OK | transfer-encoding: chunked |
            client << 3 | def | 0 | x-sum: 4 |
            """
        )


async def test_an_answer_may_come_before_the_request_is_over(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> POST / HTTP/1.1 | host: a | content-length: 6 | | abc\\")
        origin = await accept(proxy)
        number, asked = await origin.asked(ended=False)
        await origin.respond(number, b"early", ended=False)
        client = await proxy.party("client")
        assert b"200" in await client.head()
        assert await client.exactly(10) == b"5\r\nearly\r\n"
        await client.say(b"def")
        await origin.until(lambda: asked.ended)
        assert asked.body == b"abcdef"
        await origin.data(number, b"!", ended=True)
        assert await client.exactly(11) == b"1\r\n!\r\n0\r\n\r\n"


async def test_a_large_body_goes_up_as_the_host_takes_it(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        size = 300_000
        await proxy.play(f"client >> POST / HTTP/1.1 | host: a | content-length: {size} |")
        client = await proxy.party("client")
        await client.say(bytes(size))
        origin = await accept(proxy)
        number, asked = await origin.asked()
        assert len(asked.body) == size
        await origin.respond(number, b"", status="204")
        assert b"204" in await client.head()


async def test_a_response_is_taken_as_fast_as_the_client_takes_it(serving: Serving) -> None:
    options = "http2_options: {initial_stream_window_size: 64KiB},"
    async with serving(http(cluster=HTTP2 + options)) as proxy:
        client = await proxy.connect(buffer=4096)
        await client.say(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        origin = await accept(proxy)
        number, _ = await origin.asked()
        await origin.respond(number, b"", ended=False)
        assert await origin.pour(number, 10_000_000) < 8_000_000
        client.close()
        await origin.until(lambda: origin.heard[number].reset is not None)
        assert origin.heard[number].reset == 8


async def test_who_leaves_has_the_stream_cancelled(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        origin = await accept(proxy)
        number, asked = await origin.asked()
        await proxy.play("client >> (reset)")
        await origin.until(lambda: asked.reset == 8)
        assert proxy.counter("cluster.app.http2.tx_reset") == 1
        await proxy.play("client#2 >> GET / HTTP/1.1 | host: a |")
        number, _ = await origin.asked()
        await origin.respond(number, b"ok")
        assert b"200" in await (await proxy.party("client#2")).line()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_a_host_refuses_is_tried_again_unasked(serving: Serving, method: str) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play(f"client >> {method} / HTTP/1.1 | host: a | content-length: 2 | | hi\\")
        origin = await accept(proxy)
        number, _ = await origin.asked()
        await origin.reset(number, 7)
        number, asked = await origin.asked()
        assert asked.body == b"hi"
        await origin.respond(number, b"ok")
        assert b"200" in await (await proxy.party("client")).line()
        assert proxy.counter("cluster.app.http2.stream_refused_errors") == 1


async def test_what_is_always_refused_is_not_tried_for_ever(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        origin = await accept(proxy)
        for _ in range(4):
            number, _ = await origin.asked()
            await origin.reset(number, 7)
        assert b"503" in await (await proxy.party("client")).line()
    assert proxy.log[0]["flags"] == "UR"


async def test_what_a_goaway_leaves_out_is_tried_on_another_connection(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> POST / HTTP/1.1 | host: a | content-length: 2 | | hi\\")
        origin = await accept(proxy)
        await origin.asked()
        origin.h2.close_connection(last_stream_id=0)
        await origin.flush()
        second = await accept(proxy)
        number, asked = await second.asked()
        assert asked.body == b"hi"
        await second.respond(number, b"ok")
        assert b"200" in await (await proxy.party("client")).line()
        assert await origin.peer.rest() is not None
        assert proxy.counter("cluster.app.upstream_cx_close_notify") == 1


async def test_what_runs_when_a_goaway_comes_is_finished(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> GET /1 HTTP/1.1 | host: a |")
        origin = await accept(proxy)
        first, _ = await origin.asked()
        frame = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + first.to_bytes(4, "big") + bytes(4)
        await origin.peer.say(frame)
        await proxy.quiet()
        await proxy.play("client#2 >> GET /2 HTTP/1.1 | host: a |")
        second = await accept(proxy)
        number, _ = await second.asked()
        await second.respond(number, b"ok")
        assert b"200" in await (await proxy.party("client#2")).line()
        await origin.respond(first, b"ok")
        assert b"200" in await (await proxy.party("client")).line()
        assert await origin.end() == "(fin)"


async def test_a_stream_that_is_reset_is_an_upstream_reset(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> POST / HTTP/1.1 | host: a | content-length: 2 | | hi\\")
        origin = await accept(proxy)
        number, _ = await origin.asked()
        await origin.reset(number, 2)
        assert b"503" in await (await proxy.party("client")).line()
        assert proxy.counter("cluster.app.http2.rx_reset") == 1
        assert proxy.counter("cluster.app.upstream_rq_rx_reset") == 1
    assert (proxy.log[0]["flags"], proxy.log[0]["attempts"]) == ("UR", 1)


async def test_a_connection_that_breaks_off_ends_its_requests(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> POST / HTTP/1.1 | host: a | content-length: 2 | | hi\\")
        origin = await accept(proxy)
        await origin.asked()
        origin.peer.reset()
        assert b"503" in await (await proxy.party("client")).line()
    assert proxy.log[0]["flags"] == "UC"


async def test_a_kept_connection_that_turns_out_to_be_closed_costs_nothing(
    serving: Serving,
) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        for _ in range(2):
            await proxy.play("client >> GET / HTTP/1.1 | host: a |")
            origin = await accept(proxy)
            number, _ = await origin.asked()
            await origin.respond(number, b"ok", headers={"content-length": "2"})
            await proxy.play("client << HTTP/1.1 200 OK | content-length: 2 | | ok\\")
            origin.peer.close()
            await proxy.until("cluster.app.upstream_cx_active")


async def test_a_kept_connection_that_is_closed_under_a_request(serving: Serving) -> None:
    """What is safe is asked again, on a new connection; what is not is not."""
    async with serving(http(cluster=HTTP2)) as proxy:
        for method in ("GET", "POST"):
            await proxy.play("client >> GET / HTTP/1.1 | host: a |")
            origin = await accept(proxy)
            number, _ = await origin.asked()
            await origin.respond(number, b"ok", headers={"content-length": "2"})
            await proxy.play("client << HTTP/1.1 200 OK | content-length: 2 | | ok\\")
            await proxy.play(f"client >> {method} / HTTP/1.1 | host: a |")
            await origin.asked()
            origin.peer.close()
            if method == "POST":
                assert b"503" in await (await proxy.party("client")).line()
                break
            again = await accept(proxy)
            number, _ = await again.asked()
            await again.respond(number, b"ok", headers={"content-length": "2"})
            await proxy.play("client << HTTP/1.1 200 OK | content-length: 2 | | ok\\")
            again.peer.close()
            await proxy.until("cluster.app.upstream_cx_active")


@pytest.mark.parametrize("tries", [1, 2])
async def test_a_connection_that_is_lost_after_it_was_heard_from_is_no_stale_one(
    serving: Serving, tries: int
) -> None:
    """The host has seen the request: whether to ask again is the route's to say."""
    route = "retry: {on: [reset], attempts: 1}" if tries > 1 else ""
    async with serving(http(route=route, cluster=HTTP2)) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        origin = await accept(proxy)
        number, _ = await origin.asked()
        await origin.respond(number, b"ok", headers={"content-length": "2"})
        await proxy.play("client << HTTP/1.1 200 OK | content-length: 2 | | ok\\")
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        for left in reversed(range(tries)):
            await origin.asked()
            origin.h2.ping(bytes(8))
            await origin.flush()
            await origin.until(lambda origin=origin: origin.acknowledged == 1)
            origin.peer.reset()
            if left:
                origin = await accept(proxy)
        assert b"503" in await (await proxy.party("client")).line()
        assert proxy.counter("cluster.app.upstream_rq_rx_reset") == tries
        assert not proxy.origin.waiting()
    assert proxy.log[1]["flags"] == ("UC,URX" if tries > 1 else "UC")
    assert proxy.log[1]["attempts"] == tries
    assert proxy.log[1]["failure"]


async def test_the_routes_timeout_bounds_the_answer(serving: Serving) -> None:
    async with serving(http(route="timeout: 50ms", cluster=HTTP2)) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        origin = await accept(proxy)
        _, asked = await origin.asked()
        assert b"504" in await (await proxy.party("client")).line()
        await origin.until(lambda: asked.reset == 8)
        assert proxy.counter("cluster.app.upstream_rq_timeout") == 1
    assert proxy.log[0]["flags"] == "UT"


async def test_all_who_wait_hear_that_nobody_can_connect(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2, endpoints="$refusing")) as proxy:
        clients = [await proxy.connect() for _ in range(3)]
        for client in clients:
            client.say_at_once(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        for client in clients:
            assert b"503" in await client.line()
    assert [line["flags"] for line in proxy.log] == ["UF"] * 3


async def test_a_host_that_breaks_the_protocol_is_told_so(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        origin = await accept(proxy)
        await origin.asked()
        await origin.peer.say(bytes([0, 0, 1, 6, 0, 0, 0, 0, 0, 0]))  # a PING of one byte
        assert b"502" in await (await proxy.party("client")).line()
        assert await origin.end() == "(fin)"
        assert [code for _, code in origin.goaways] == [6]
        assert proxy.counter("cluster.app.http2.rx_messaging_error") == 1


async def test_a_connection_is_closed_when_nobody_uses_it(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2 + "idle_timeout: 50ms,")) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        origin = await accept(proxy)
        number, _ = await origin.asked()
        await origin.respond(number, b"ok")
        assert await origin.end() == "(fin)"
        assert origin.goaways == [(0, 0)]
        assert proxy.counter("cluster.app.upstream_cx_idle_timeout") == 1


async def test_a_connection_that_nobody_came_to_use_is_closed(serving: Serving) -> None:
    async with serving(http(WEBSOCKETS, cluster=HTTP2 + "idle_timeout: 50ms,")) as proxy:
        await proxy.play(
            """
            client >> GET /chat HTTP/1.1 | host: a.org | connection: upgrade | upgrade: websocket |
            """
        )
        peer = await proxy.origin.accept()  # which says nothing: what it can do is waited for
        await proxy.until("cluster.app.upstream_rq_active", 1)
        await proxy.play("client >> (reset)")
        assert await H2Peer(peer, client=False).end() == "(fin)"
        assert proxy.counter("cluster.app.upstream_cx_idle_timeout") == 1


async def test_a_request_that_comes_when_a_connection_is_idle_too_long_is_served(
    serving: Serving,
) -> None:
    async with serving(http(cluster=HTTP2 + "idle_timeout: 60s,")) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        origin = await accept(proxy)
        number, _ = await origin.asked()
        await origin.respond(number, b"ok", headers={"content-length": "2"})
        await proxy.play("client << HTTP/1.1 200 OK | content-length: 2 | | ok\\")
        pool = proxy.cluster().hosts[0].pool
        assert pool is not None
        (upstream,) = pool._connections
        upstream.connection.expire()  # the sweep, in the same turn as the request
        stream = upstream.open(Request(authority="a"), ended=True)
        number, _ = await origin.asked()
        await origin.respond(number, b"ok")
        assert (await stream.response()).status == 200
        assert await stream.body.read() == b"ok"
        stream.leave(clean=True)
        assert proxy.counter("cluster.app.upstream_cx_idle_timeout") == 0


async def test_a_connection_is_replaced_after_so_many_requests(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2 + "max_requests_per_connection: 1,")) as proxy:
        for _ in range(2):
            await proxy.play("client >> GET / HTTP/1.1 | host: a |")
            origin = await accept(proxy)
            number, _ = await origin.asked()
            await origin.respond(number, b"ok", headers={"content-length": "2"})
            await proxy.play("client << HTTP/1.1 200 OK | content-length: 2 | | ok\\")
        assert proxy.counter("cluster.app.upstream_cx_max_requests") == 2


async def test_a_host_that_answers_no_ping_is_given_up(serving: Serving) -> None:
    options = "http2_options: {keepalive_interval: 50ms, keepalive_timeout: 50ms},"
    async with serving(http(cluster=HTTP2 + options)) as proxy:
        await proxy.play("client >> POST / HTTP/1.1 | host: a | content-length: 2 | | hi\\")
        origin = await accept(proxy)
        await origin.asked()
        assert b"503" in await (await proxy.party("client")).line()
        assert proxy.counter("cluster.app.http2.keepalive_timeout") == 1


async def test_interim_responses_are_passed_on(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        origin = await accept(proxy)
        number, _ = await origin.asked()
        await origin.respond(number, status="103", headers={"link": "</a>"}, ended=False)
        await origin.respond(number, b"ok", headers={"content-length": "2"})
        await proxy.play(
            """
            client << HTTP/1.1 103 Early Hints | link: </a> |
            client << HTTP/1.1 200 OK | content-length: 2 | | ok\\
            """
        )


async def test_a_client_of_http1_0_that_names_no_host(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> GET / HTTP/1.0 |")
        origin = await accept(proxy)
        origin.h2.config.validate_inbound_headers = False  # hyper-h2 wants one, RFC 9113 does not
        number, asked = await origin.asked()
        assert ":authority" not in asked.headers
        await origin.respond(number, b"ok")
        client = await proxy.party("client")
        assert (await client.rest()).endswith(b"\r\n\r\nok")


async def test_a_body_without_a_length_ends_with_the_connection_of_http1_0(
    serving: Serving,
) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        await proxy.play("client >> GET / HTTP/1.0 | host: a |")
        origin = await accept(proxy)
        number, _ = await origin.asked()
        await origin.respond(number, b"o", ended=False)
        client = await proxy.party("client")
        assert b"content-length" not in await client.head()
        await origin.data(number, b"k", ended=True)
        assert await client.rest() == b"ok"
