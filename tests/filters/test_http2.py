"""HTTP/2 with clients: many exchanges on one connection, as both sides see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from h2_peer import H2Peer, Heard
from serving import http

from trioproxy.drain.lifetime import Cause

if TYPE_CHECKING:
    from serving import Proxy, Serving
    from trio.testing import MockClock

DIRECT = "{match: {prefix: /}, direct_response: {status: 200, body: hi}}"
FIXED = "content-length: 2 | | ok\\"


async def connect(proxy: Proxy, *, window: int = 65_535) -> H2Peer:
    return await H2Peer.greet(await proxy.connect(), window=window)


async def test_an_exchange(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        stream = await client.ask("GET", "/a?b", headers={"x-y": "z"})
        await proxy.play(
            f"""
            origin << GET /a?b HTTP/1.1 | host: a.org | x-y: z |
            origin >> HTTP/1.1 200 Fine | Server: s | Connection: x-hop | X-Hop: 1 | {FIXED}
            """
        )
        answer = await client.answer(stream)
        assert answer.headers == {":status": "200", "server": "s", "content-length": "2"}
        assert answer.body == b"ok"
        assert proxy.counted("http.web") == {
            "downstream_cx_total": 1,
            "downstream_rq_total": 1,
            "downstream_rq_completed": 1,
            "downstream_rq_2xx": 1,
            "rq_total": 1,
        }
        assert proxy.counter("http.web.downstream_cx_http2_total") == 1
        assert proxy.counter("http.web.downstream_cx_http1_total") == 0
        assert proxy.counter("http.web.downstream_rq_http2_total") == 1
        assert proxy.gauge("http.web.downstream_cx_http2_active") == 1
    assert proxy.log == [
        {
            "method": "GET", "path": "/a?b", "protocol": "HTTP/2", "status": 200, "flags": None,
            "details": "via_upstream", "received": 0, "sent": 2, "host": proxy.origin.name,
            "failure": None, "attempts": 1,
        }
    ]  # fmt: skip


async def test_exchanges_at_the_same_time_end_in_any_order(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        slow = await client.ask("GET", "/slow")
        await proxy.play("origin << GET /slow HTTP/1.1 | host: a.org |")
        fast = await client.ask("GET", "/fast")
        await proxy.play(
            """
            origin#2 << GET /fast HTTP/1.1 | host: a.org |
            origin#2 >> HTTP/1.1 200 OK | content-length: 4 | | fast\\
            """
        )
        assert (await client.answer(fast)).body == b"fast"
        assert not client.heard[slow].headers
        await proxy.play("origin >> HTTP/1.1 200 OK | content-length: 4 | | slow\\")
        assert (await client.answer(slow)).body == b"slow"


@pytest.mark.parametrize(("kind", "protocol"), [("auto", "HTTP/1.1"), ("http1", "HTTP/1.1")])
async def test_http1_is_still_spoken(serving: Serving, kind: str, protocol: str) -> None:
    async with serving(http(f"codec_type: {kind},", routes=DIRECT)) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            client << HTTP/1.1 200 OK | ... | content-length: 2 | | hi\\
            """
        )
        assert proxy.counter("http.web.downstream_cx_http1_total") == 1
    assert proxy.log[0]["protocol"] == protocol


async def test_a_preface_is_refused_where_only_http1_is_spoken(serving: Serving) -> None:
    async with serving(http("codec_type: http1,", routes=DIRECT)) as proxy:
        await proxy.play(
            r"""
            client >> PRI * HTTP/2.0 | | SM |
            client << HTTP/1.1 505 HTTP Version Not Supported | ... | connection: close |
            client << (fin)
            """
        )


async def test_only_http2_is_spoken_where_that_is_asked_for(serving: Serving) -> None:
    async with serving(http("codec_type: http2,", routes=DIRECT)) as proxy:
        client = await connect(proxy)
        assert (await client.answer(await client.ask())).body == b"hi"
        other = await proxy.connect()
        await other.say(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"HTTP/1.1" not in await other.rest()
        assert proxy.counter("http.web.downstream_cx_protocol_error") == 1
        assert proxy.counter("http2.rx_messaging_error") == 1


async def test_a_preface_may_come_in_pieces(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        client = H2Peer(await proxy.connect(), client=True)
        preface = client.h2.data_to_send()
        for byte in preface:
            await client.peer.say(bytes([byte]))
            await proxy.quiet()
        assert (await client.answer(await client.ask())).body == b"hi"


async def test_a_request_body_and_trailers_go_up(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        stream = await client.ask("POST", "/", body=b"abc", ended=False)
        await proxy.play(
            """
            origin << POST / HTTP/1.1 | host: a.org | transfer-encoding: chunked |
            origin << 3 | abc
            """
        )
        await client.data(stream, b"defg")
        await client.trailers(stream, {"x-sum": "7"})
        await proxy.play(
            f"""
            origin << 4 | defg | 0 | x-sum: 7 |
            origin >> HTTP/1.1 200 OK | {FIXED}
            """
        )
        assert (await client.answer(stream)).body == b"ok"
    assert proxy.log[0]["received"] == 7


async def test_a_body_that_is_all_here_has_a_length(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        stream = await client.ask("POST", "/", body=b"abc")
        await proxy.play(
            f"""
            origin << POST / HTTP/1.1 | host: a.org | content-length: 3 | | abc\\
            origin >> HTTP/1.1 200 OK | {FIXED}
            """
        )
        assert (await client.answer(stream)).status == 200


async def test_a_response_in_chunks_and_its_trailers_come_down(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        stream = await client.ask("GET", "/", headers={"te": "trailers"})
        await proxy.play(
            """
            origin << GET / HTTP/1.1 | host: a.org | connection: te | te: trailers |
            origin >> HTTP/1.1 200 OK | transfer-encoding: chunked | | 2 | ok
            """
        )
        await client.until(lambda: client.heard[stream].body == b"ok")
        await proxy.play("origin >> 1 | ! | 0 | x-sum: 3 |")
        answer = await client.answer(stream)
        assert answer.headers == {":status": "200"}
        assert (answer.body, answer.trailers) == (b"ok!", {"x-sum": "3"})


async def test_interim_responses_come_down(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        stream = await client.ask()
        await proxy.play(
            f"""
            origin << GET / HTTP/1.1 | host: a.org |
            origin >> HTTP/1.1 103 Early Hints | link: </a> |
            origin >> HTTP/1.1 200 OK | {FIXED}
            """
        )
        assert (await client.answer(stream)).interim == ["103"]


async def test_who_waits_to_be_asked_for_the_body_is_asked(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        wants = {"expect": "100-continue", "content-length": "3"}
        stream = await client.ask("POST", "/", headers=wants, ended=False)
        await client.until(lambda: client.heard[stream].interim == ["100"])
        await client.data(stream, b"abc", ended=True)
        await proxy.play(
            f"""
            origin << POST / HTTP/1.1 | host: a.org | content-length: 3 | | abc\\
            origin >> HTTP/1.1 200 OK | {FIXED}
            """
        )
        assert (await client.answer(stream)).body == b"ok"


async def test_what_comes_unasked_with_its_expectation_goes_up_without_it(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        wants = {"expect": "100-continue", "content-length": "3"}
        stream = await client.ask("POST", "/", headers=wants, body=b"abc")
        await proxy.play(
            f"""
            origin << POST / HTTP/1.1 | host: a.org | content-length: 3 | | abc\\
            origin >> HTTP/1.1 200 OK | {FIXED}
            """
        )
        assert (await client.answer(stream)).interim == []


@pytest.mark.parametrize("status", [204, 304])
async def test_some_responses_have_no_body(serving: Serving, status: int) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        stream = await client.ask()
        await proxy.play(
            f"""
            origin << GET / HTTP/1.1 | host: a.org |
            origin >> HTTP/1.1 {status} Done | etag: x |
            """
        )
        answer = await client.answer(stream)
        assert (answer.status, answer.body) == (status, b"")


async def test_head_is_answered_with_a_length_and_nothing_else(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        stream = await client.ask("HEAD")
        await proxy.play(
            """
            origin << HEAD / HTTP/1.1 | host: a.org |
            origin >> HTTP/1.1 200 OK | content-length: 5 |
            """
        )
        answer = await client.answer(stream)
        assert (answer.headers["content-length"], answer.body) == ("5", b"")


async def test_a_client_that_resets_a_stream_ends_its_exchange_alone(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        gone = await client.ask("GET", "/gone")
        await proxy.play("origin << GET /gone HTTP/1.1 | host: a.org |")
        stays = await client.ask("GET", "/stays")
        await proxy.play("origin#2 << GET /stays HTTP/1.1 | host: a.org |")
        await client.reset(gone)
        await proxy.play(
            f"""
            origin << (reset)
            origin#2 >> HTTP/1.1 200 OK | {FIXED}
            """
        )
        assert (await client.answer(stays)).body == b"ok"
        assert proxy.counter("http2.rx_reset") == 1
        assert proxy.counter("http.web.downstream_rq_rx_reset") == 1
    assert [line["flags"] for line in proxy.log] == ["DC", None]


async def test_a_stream_that_was_reset_at_once_is_not_served(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        client = await connect(proxy)
        number = client.h2.get_next_available_stream_id()
        fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        client.h2.send_headers(number, fields, end_stream=True)
        client.h2.reset_stream(number)
        await client.flush()
        await proxy.quiet()
        await proxy.until("http2.streams_active")
        assert proxy.counter("http.web.downstream_rq_rx_reset") == 1
    assert [(line["flags"], line["status"]) for line in proxy.log] == [("DC", 0)]


async def test_a_client_that_leaves_ends_all_of_its_exchanges(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        await client.ask("GET", "/a")
        await proxy.play("origin << GET /a HTTP/1.1 | host: a.org |")
        await client.ask("GET", "/b")
        await proxy.play("origin#2 << GET /b HTTP/1.1 | host: a.org |")
        client.peer.close()
        await proxy.play("origin << (reset)")
        await proxy.play("origin#2 << (reset)")
        assert proxy.counter("http.web.downstream_cx_destroy_remote_active_rq") == 1
    assert [line["flags"] for line in proxy.log] == ["DC", "DC"]


async def test_an_upstream_that_breaks_off_has_the_stream_reset(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        stream = await client.ask()
        await proxy.play(
            """
            origin << GET / HTTP/1.1 | host: a.org |
            origin >> HTTP/1.1 200 OK | content-length: 9 | | hal\\
            """
        )
        await client.until(lambda: client.heard[stream].body == b"hal")
        await proxy.play("origin >> (close)")
        assert (await client.answer(stream)).reset == 2
    assert proxy.log[0]["flags"] == "UC"


async def test_a_stream_on_which_nothing_moves_is_answered_or_reset(serving: Serving) -> None:
    async with serving(http("stream_idle_timeout: 50ms,")) as proxy:
        client = await connect(proxy)
        silent = await client.ask("GET", "/silent")
        await proxy.play("origin << GET /silent HTTP/1.1 | host: a.org |")
        answer = await client.answer(silent)
        assert answer.status == 504
        half = await client.ask("GET", "/half")
        await proxy.play(
            """
            origin#2 << GET /half HTTP/1.1 | host: a.org |
            origin#2 >> HTTP/1.1 200 OK | content-length: 9 | | hal\\
            """
        )
        assert (await client.answer(half)).reset == 2
        assert proxy.counter("http.web.downstream_rq_idle_timeout") == 2
    assert [line["flags"] for line in proxy.log] == ["SI", "SI"]


async def test_a_client_that_gives_no_window_is_not_waited_for(serving: Serving) -> None:
    async with serving(http("stream_idle_timeout: 50ms,", routes=DIRECT)) as proxy:
        client = await connect(proxy, window=1)
        client.acknowledges = False
        stream = await client.ask()
        assert (await client.answer(stream)).reset == 2
    assert (proxy.log[0]["flags"], proxy.log[0]["status"]) == ("SI", 200)


async def test_what_the_client_does_not_take_is_not_taken_from_the_upstream(
    serving: Serving,
) -> None:
    """A65: memory is bounded by what the client takes, not by what the upstream sends."""
    async with serving(http()) as proxy:
        client = await connect(proxy)
        client.acknowledges = False
        stream = await client.ask()
        await proxy.play(
            """
            origin << GET / HTTP/1.1 | host: a.org |
            origin >> HTTP/1.1 200 OK | content-length: 30000000 |
            """
        )
        origin = await proxy.party("origin")
        sent = await origin.pour(25_000_000)
        await client.until(lambda: len(client.heard[stream].body) == 65_535)
        assert sent < 20_000_000  # what the kernel holds on two sockets


async def test_who_uploads_is_paced_by_the_upstream(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        stream = await client.ask("POST", "/", ended=False)
        await proxy.play("origin << POST / HTTP/1.1 | host: a.org | transfer-encoding: chunked |")
        assert await client.pour(stream, 25_000_000) < 20_000_000


async def test_a_client_answered_early_may_finish_what_it_says(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        client = await connect(proxy)
        stream = await client.ask("POST", "/", ended=False)
        assert (await client.answer(stream)).body == b"hi"
        await client.data(stream, bytes(100_000), ended=True)
        assert (await client.answer(await client.ask())).body == b"hi"
        assert client.heard[stream].reset is None
        assert proxy.counter("http.web.downstream_rq_response_before_rq_complete") == 1


async def test_a_client_answered_early_that_does_not_end_is_cut(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        client = await connect(proxy)
        stream = await client.ask("POST", "/", ended=False)
        assert (await client.answer(stream)).body == b"hi"
        await client.data(stream, bytes(1 << 20))
        await client.until(lambda: client.heard[stream].reset == 0)


async def test_a_drain_says_goaway_twice_and_lets_streams_finish(serving: Serving) -> None:
    """A64"""
    async with serving(http()) as proxy:
        client = await connect(proxy)
        stream = await client.ask()
        await proxy.play("origin << GET / HTTP/1.1 | host: a.org |")
        proxy.plane.drain(Cause.SHUTDOWN, 0, 60, immediate=True)
        await client.until(lambda: len(client.goaways) == 2)
        assert client.goaways == [((1 << 31) - 1, 0), (stream, 0)]
        await proxy.play(f"origin >> HTTP/1.1 200 OK | {FIXED}")
        assert (await client.answer(stream)).body == b"ok"
        assert await client.end() == "(fin)"
        assert proxy.counter("http.web.downstream_cx_drain_close") == 1
        assert proxy.counter("http2.goaway_sent") == 1


async def test_what_comes_between_the_two_is_served(serving: Serving) -> None:
    """A53, A64: a request that crosses the first GOAWAY is not lost."""
    async with serving(http(routes=DIRECT)) as proxy:
        client = await connect(proxy)
        assert (await client.answer(await client.ask())).body == b"hi"
        proxy.plane.drain(Cause.SHUTDOWN, 10, 60, immediate=True)
        assert (await client.answer(await client.ask())).body == b"hi"
        assert await client.end() == "(fin)"
        assert len(client.goaways) == 2


async def test_an_idle_connection_leaves_at_its_idle_rung(serving: Serving) -> None:
    """A63, the half of HTTP/2: even a client that answers no PING."""
    async with serving(http(routes=DIRECT)) as proxy:
        client = await proxy.connect()
        await client.say(H2Peer(client, client=True).h2.data_to_send())
        await proxy.until("http.web.downstream_cx_http2_active", 1)
        proxy.plane.drain(Cause.SHUTDOWN, 0.2, 60, immediate=False)
        await client.rest()
        assert client.end == "(fin)"


async def test_streams_in_flight_end_with_the_drain(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await connect(proxy)
        await client.ask()
        await proxy.play("origin << GET / HTTP/1.1 | host: a.org |")
        proxy.plane.drain(Cause.SHUTDOWN, 0, 0.1, immediate=True)
        await client.end()
    assert [(line["status"], line["details"]) for line in proxy.log] == [(503, "drained")]


async def test_an_idle_connection_is_closed_politely(serving: Serving) -> None:
    async with serving(http("idle_timeout: 50ms,", routes=DIRECT)) as proxy:
        client = await connect(proxy)
        stream = await client.ask()
        assert (await client.answer(stream)).body == b"hi"
        await client.end()
        assert client.goaways == [(stream, 0)]
        assert proxy.counter("http.web.downstream_cx_idle_timeout") == 1


async def test_a_client_that_answers_no_ping_is_given_up(serving: Serving) -> None:
    options = "http2_options: {keepalive_interval: 30ms, keepalive_timeout: 50ms},"
    async with serving(http(options, routes=DIRECT)) as proxy:
        client = await connect(proxy)
        assert (await client.answer(await client.ask())).body == b"hi"
        await client.until(lambda: client.pings > 1)
        assert proxy.gauge("http.web.downstream_cx_http2_active") == 1
        await client.peer.rest()
        assert proxy.counter("http2.keepalive_timeout") == 1


async def test_a_connection_is_replaced_after_so_many_requests(serving: Serving) -> None:
    async with serving(http("max_requests_per_connection: 2,", routes=DIRECT)) as proxy:
        client = await connect(proxy)
        for _ in range(2):
            assert (await client.answer(await client.ask())).body == b"hi"
        assert await client.end() == "(fin)"
        assert proxy.counter("http.web.downstream_cx_max_requests_reached") == 1
        assert proxy.counter("http.web.downstream_cx_drain_close") == 0


async def test_a_request_that_will_not_do_is_logged(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        client = await connect(proxy)
        bad = await client.ask("GET", "/", headers={"connection": "close"})
        assert (await client.answer(bad)).reset == 1
        large = await client.ask("GET", "/", headers={f"x-{i}": "y" for i in range(200)})
        assert (await client.answer(large)).status == 431
        assert proxy.counter("http2.header_overflow") == 1
        assert proxy.counter("http2.rx_messaging_error") == 1
    assert [line["flags"] for line in proxy.log] == ["DPE", "DPE"]


async def test_whoever_checks_health_in_vain_is_asked_to_leave(serving: Serving) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        client = await connect(proxy)
        proxy.plane.set_health(failed=True)
        assert (await client.answer(await client.ask())).body == b"hi"
        assert await client.end() == "(fin)"
        assert len(client.goaways) == 2
        assert proxy.counter("http.web.downstream_cx_drain_close") == 1


async def test_an_answer_that_is_long_is_as_slow_as_its_client(
    serving: Serving, mock_clock: MockClock
) -> None:
    """It may take longer than `stream_idle_timeout`, as long as something moves."""
    body = f"{{match: {{prefix: /}}, direct_response: {{status: 200, body: {'x' * 300_000}}}}}"
    async with serving(http("stream_idle_timeout: 10s,", routes=body)) as proxy:
        client = await connect(proxy)
        client.acknowledges = False
        stream = await client.ask()
        heard, began = client.heard[stream], trio.current_time()
        for size in (65_535, 131_071, 196_607, 262_143):
            await client.until(lambda size=size: heard.reset or len(heard.body) == size)
            mock_clock.jump(7)
            await proxy.quiet()
            client.h2.increment_flow_control_window(65_536, stream)
            client.h2.increment_flow_control_window(65_536)
            await client.flush()
        assert len((await client.answer(stream)).body) == 300_000
        assert trio.current_time() > began + 20


async def test_via_names_the_version_that_a_message_came_in(serving: Serving) -> None:
    """RFC 9110 section 7.6.3."""
    async with serving(http("via: edge,")) as proxy:
        client = await connect(proxy)
        stream = await client.ask()
        await proxy.play(
            """
            origin << GET / HTTP/1.1 | host: a.org | via: 2.0 edge |
            origin >> HTTP/1.1 204 No Content |
            """
        )
        assert (await client.answer(stream)).headers["via"] == "1.1 edge"
    async with serving(http("via: edge,", cluster="protocol: http2")) as proxy:
        await proxy.play("client >> GET / HTTP/1.0 | host: a.org |")
        origin = await H2Peer.greet(await proxy.origin.accept(), client=False)
        number, asked = await origin.asked()
        assert asked.headers["via"] == "1.0 edge"
        await origin.respond(number, status="204")
        assert b"via: 2.0 edge" in await (await proxy.party("client")).head()


@pytest.mark.parametrize("cut", [5, 100])
async def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(
    serving: Serving, cut: int
) -> None:
    async with serving(http("request_headers_timeout: 100ms,")) as proxy:
        client = await connect(proxy)
        before = await client.ask()
        await proxy.play("origin << GET / HTTP/1.1 | host: a.org |")
        client.h2.send_headers(before + 2, [(":method", "GET"), ("a", "b" * 500)])
        await client.peer.say(client.h2.data_to_send()[:cut])
        await client.end()
        assert client.goaways == [(before, 0)]
        assert proxy.counter("http.web.downstream_rq_header_timeout") == 1
    assert [line["details"] for line in proxy.log] == ["request_header_timeout", None]


async def test_a_head_that_comes_in_time_is_served(serving: Serving, mock_clock: MockClock) -> None:
    async with serving(http("request_headers_timeout: 10s,", routes=DIRECT)) as proxy:
        client = await connect(proxy)
        stream = client.h2.get_next_available_stream_id()
        await client.flush()
        client.heard[stream] = Heard()
        fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        client.h2.send_headers(stream, fields, end_stream=True)
        frame = client.h2.data_to_send()
        await client.peer.say(frame[:12])
        await proxy.quiet()
        mock_clock.jump(7)
        await proxy.quiet()
        await client.peer.say(frame[12:])
        assert (await client.answer(stream)).status == 200
        mock_clock.jump(7)
        await proxy.quiet()
        assert (await client.answer(await client.ask())).status == 200
