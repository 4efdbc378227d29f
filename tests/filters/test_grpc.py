"""gRPC through the proxy, HTTP/2 on both sides, with the callers and services that people use."""

from __future__ import annotations

from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_peers import calling, channel, failed, method, service
from h2_peer import H2Peer
from serving import http

from trioproxy.codec.messages import Request, Response
from trioproxy.filters.grpc import is_grpc, refusal, status_of, timeout_of
from trioproxy.headers import Headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from serving import Proxy, Serving

HTTP2 = "protocol: http2"
CALL = {"content-type": "application/grpc", "te": "trailers"}


@pytest.fixture
async def proxy(serving: Serving) -> AsyncIterator[Proxy]:
    """A proxy in front of the service."""
    with service() as port:
        text = http(cluster=HTTP2, endpoints=f'"127.0.0.1:{port}"')
        async with serving(text, alone=False) as proxy:
            yield proxy


def port_of(proxy: Proxy) -> int:
    return int(proxy.addresses["web"][1])


async def test_unary_calls(proxy: Proxy) -> None:
    with channel(port_of(proxy)) as made:
        ask = made.unary_unary("/shop.Orders/Unary")
        answer, call = await calling(partial(ask.with_call, b"hi", metadata=[("x-a", "b")]))
        assert answer == b"said hi"
        assert dict(call.trailing_metadata())["x-seen"] == "b"
        for number in range(20):
            body = str(number).encode() * 10_000
            assert await calling(partial(ask, body)) == b"said " + body
    assert proxy.counter("cluster.app.upstream_cx_http2_total") == 1
    assert proxy.counter("cluster.app.grpc.total") == 21
    assert proxy.counter("cluster.app.grpc.success") == 21


async def test_streams_of_messages(proxy: Proxy) -> None:
    with channel(port_of(proxy)) as made:
        count = method(made, "unary_stream", "Count")
        expected = [str(number).encode() * 1000 for number in range(300)]
        assert await calling(lambda: list(count(b"300"))) == expected
        add = method(made, "stream_unary", "Add")
        assert await calling(lambda: add(iter([b"1", b"2", b"3"]))) == b"6"


async def test_a_stream_both_ways_takes_turns(proxy: Proxy) -> None:
    answers: SimpleQueue[bytes] = SimpleQueue()
    heard: list[bytes] = []

    def speak() -> Iterator[bytes]:
        for word in (b"a", b"b", b"c"):
            yield word
            heard.append(answers.get(timeout=5))  # the answer comes before the next word

    def talk() -> None:
        for word in chat(speak()):
            answers.put(word)

    with channel(port_of(proxy)) as made:
        chat = method(made, "stream_stream", "Chat")
        await calling(talk)
    assert heard == [b"A", b"B", b"C"]


async def test_an_answer_of_trailers_only(proxy: Proxy) -> None:
    with channel(port_of(proxy)) as made:
        ask = method(made, "unary_unary", "Fail")
        error = await calling(partial(failed, partial(ask, b"")))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert error.details() == "no such order: 100 %"
        unknown = method(made, "unary_unary", "Nothing")
        error = await calling(partial(failed, partial(unknown, b"")))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert proxy.counter("cluster.app.grpc.failure") == 2
    assert proxy.counter("cluster.app.upstream_rq_2xx") == 2


async def test_a_call_ends_at_its_deadline_on_both_sides(proxy: Proxy) -> None:
    with channel(port_of(proxy)) as made:
        ask = method(made, "unary_unary", "Sleep")
        error = await calling(partial(failed, partial(ask, b"", timeout=0.2)))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await proxy.until("cluster.app.upstream_rq_active")


async def test_the_deadline_bounds_the_routes_timeout(serving: Serving) -> None:
    async with serving(http(cluster=HTTP2)) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        stream = await client.ask("POST", "/a", headers={**CALL, "grpc-timeout": "50m"})
        answer = await client.answer(stream)
        assert (answer.status, answer.headers["grpc-status"]) == (200, "4")
        assert answer.headers["content-type"] == "application/grpc"
        assert proxy.counter("cluster.app.upstream_rq_timeout") == 1
    assert (proxy.log[0]["flags"], proxy.log[0]["status"]) == ("UT", 200)


@pytest.mark.parametrize(
    ("yaml", "status", "message"),
    [
        (http(cluster=HTTP2, endpoints="$refusing"), "14", "connection refused"),
        (http(routes="{match: {path: /b}, route: {cluster: app}}"), "12", "no route matches"),
    ],
)
async def test_what_fails_here_is_told_as_grpc_does(
    serving: Serving, yaml: str, status: str, message: str
) -> None:
    async with serving(yaml) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        answer = await client.answer(await client.ask("POST", "/a", headers=CALL))
        assert answer.headers == {
            ":status": "200", "content-type": "application/grpc",
            "grpc-status": status, "grpc-message": message,
        }  # fmt: skip
        assert answer.body == b""


async def test_who_does_not_speak_grpc_is_told_as_http_does(serving: Serving) -> None:
    async with serving(http(routes="{match: {path: /b}, route: {cluster: app}}")) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        web = {"content-type": "application/grpc-web"}
        answer = await client.answer(await client.ask("POST", "/a", headers=web))
        assert answer.status == 404


def request(**fields: str) -> Request:
    made = Request(headers=Headers())
    for name, value in fields.items():
        made.headers.set(name.replace("_", "-"), value)
    return made


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1H", 3600), ("2M", 120), ("3S", 3), ("50m", 0.05), ("7u", 7e-6), ("99999999n", 0.099999999)],
)
def test_deadlines(text: str, seconds: float) -> None:
    assert timeout_of(request(grpc_timeout=text)) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "S", "-1S", "1.5S", "123456789S", "1s", "²S"])
def test_a_deadline_that_cannot_be_read_is_none(text: str) -> None:
    assert timeout_of(request(grpc_timeout=text)) == float("inf")


@pytest.mark.parametrize(
    ("content_type", "verdict"),
    [
        ("application/grpc", True),
        ("application/grpc+proto", True),
        ("application/grpc-web", False),
        ("text/html", False),
    ],
)
def test_what_is_grpc(content_type: str, verdict: bool) -> None:
    assert is_grpc(request(content_type=content_type)) is verdict


def test_a_message_is_escaped() -> None:
    headers = refusal(503, "höchstens 100 %\n").headers
    assert headers.get("grpc-message") == "h%C3%B6chstens 100 %25"


def test_the_status_of_a_call() -> None:
    trailers, response = Headers(), Response(status=200)
    assert status_of(response, trailers) == 2
    response.headers.set("grpc-status", "5")
    assert status_of(response, trailers) == 5
    trailers.set("grpc-status", "0")
    assert status_of(response, trailers) == 0
