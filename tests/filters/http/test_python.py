from __future__ import annotations

import logging
import sys
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import trio
from planes import open_proxy, open_upstream, say

from trioproxy.codec.messages import Response
from trioproxy.filters.api import ProxyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from planes import Proxy

    from trioproxy.filters.api import Exchange, Forward, HttpTools
    from trioproxy.stats.handles import Counter

CONFIG = """
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: web
      upgrades: [websocket]
      http_filters: [{python: "under_test:Filter"}, {router: }]
      routes: [{match: {prefix: /}, route: {cluster: app}}]
clusters: [{name: app, endpoints: [127.0.0.1:1]}]
"""
POST = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"


async def echo(stream: trio.SocketStream, _head: str, body: bytes) -> None:
    await say(stream, body.decode() or "nothing")


async def until(stream: trio.SocketStream, end: bytes) -> bytes:
    """Receive until `end` has come."""
    data = b""
    while end not in data:
        piece = await stream.receive_some()
        assert piece, f"{end!r} is not in {data!r}"
        data += piece
    return data


@asynccontextmanager
async def proxy_with(
    monkeypatch: pytest.MonkeyPatch, *members: Callable[..., object]
) -> AsyncIterator[Proxy]:
    """A proxy before an upstream that echoes, with a filter class of these methods."""
    module = ModuleType("under_test")
    methods = {each.__name__: each for each in members}
    module.Filter = type("Filter", (), methods)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "under_test", module)
    async with open_upstream(echo) as port, open_proxy(CONFIG, {"app": port}) as proxy:
        yield proxy


async def test_it_brackets_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        seen.append((exchange.request.method, exchange.request.path, exchange.complete))
        await forward(exchange)
        assert exchange.response is not None
        seen.append((exchange.response.status, exchange.record.bytes_sent, exchange.complete))

    async with proxy_with(monkeypatch, __call__) as proxy:
        assert (await proxy.ask(POST, "hello")).endswith("\r\n\r\nhello")
    assert seen == [("POST", "/", False), (200, 5, True)]


async def test_both_bodies_stream_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece goes on before the next one comes."""

    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        exchange.transform_request(upper)
        exchange.transform_response(doubled)
        await forward(exchange)

    async def upper(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece.upper()

    async def doubled(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece * 2

    async def handler(stream: trio.SocketStream, head: str, body: bytes) -> None:
        assert "transfer-encoding: chunked" in head
        head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        await stream.send_all(head.encode() + b"1\r\na\r\n")
        assert await received.receive() == b"aa"
        await stream.send_all(b"1\r\nb\r\n0\r\n\r\n")
        assert b"HELLO" in body

    module = ModuleType("under_test")
    module.Filter = type("Filter", (), {"__call__": __call__})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "under_test", module)
    sender, received = trio.open_memory_channel[bytes](1)
    async with (
        open_upstream(handler) as port,
        open_proxy(CONFIG, {"app": port}) as proxy,
        await proxy.connect() as stream,
    ):
        await stream.send_all(f"{POST}\r\nhello".encode())
        await until(stream, b"2\r\naa\r\n")
        await sender.send(b"aa")
        await until(stream, b"2\r\nbb\r\n0\r\n\r\n")


async def test_it_may_answer_itself_with_all_of_trio(monkeypatch: pytest.MonkeyPatch) -> None:
    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        async def answer_late(text: str) -> None:
            await trio.sleep(0.001)
            parts.append(text)

        parts: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_late, "a")
            nursery.start_soon(answer_late, "a")
        with trio.move_on_after(0.001) as scope:
            await trio.sleep_forever()
        assert scope.cancelled_caught
        await exchange.respond(201, "".join(parts), {"x-by": "filter"})

    async with proxy_with(monkeypatch, __call__) as proxy:
        answer = await proxy.ask()
    assert answer.startswith("HTTP/1.1 201 Created")
    assert "x-by: filter" in answer
    assert answer.endswith("\r\n\r\naa")


async def test_its_statistics_are_among_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(self: object, tools: HttpTools) -> object:
        counter: Counter = tools.worker.stats.counter(f"{tools.scope}.mine")

        async def serve(exchange: Exchange, forward: Forward[Exchange]) -> None:
            counter.add()
            await forward(exchange)

        return serve

    async with proxy_with(monkeypatch, prepare) as proxy:
        await proxy.ask()
        assert proxy.counter("http.web.mine") == 1


async def raise_before(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
    raise KeyError("before")


async def raise_in_hook(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
    @exchange.on_response
    async def fail(_exchange: Exchange) -> None:
        raise KeyError("in a hook")

    await forward(exchange)


async def raise_twice(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
    """The hook fails as well when it is to see the answer to the failure."""

    @exchange.on_response
    async def fail(_exchange: Exchange) -> None:
        raise KeyError("in a hook")

    raise ValueError("before")


async def raise_in_nursery(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
    async def fail() -> None:
        raise KeyError("in a nursery")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        await trio.sleep_forever()


async def raise_in_upload(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
    async def fail(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
            raise KeyError("in the request's body")

    exchange.transform_request(fail)
    await forward(exchange)


async def answer_nothing(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
    pass


@pytest.mark.parametrize(
    "behaviour", [raise_before, raise_in_hook, raise_in_nursery, raise_in_upload]
)
async def test_a_filter_that_raises_costs_its_own_request_a_500(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    behaviour: Callable[..., Awaitable[None]],
) -> None:
    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        if exchange.request.path == "/":
            await behaviour(self, exchange, forward)
        else:
            await forward(exchange)

    async with proxy_with(monkeypatch, __call__) as proxy, await proxy.connect() as stream:
        await stream.send_all(f"{POST}\r\nhello".encode())
        data = await until(stream, b"a filter failed")
        assert data.startswith(b"HTTP/1.1 500 Internal Server Error")
        assert b"connection: close" not in data
        await stream.send_all(b"GET /well HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(stream, b"nothing")
    (line,) = caplog.records
    assert (line.name, line.levelno) == ("trioproxy.http", logging.ERROR)
    assert "KeyError" in caplog.text
    assert "test_python.py" in caplog.text


async def test_one_that_fails_with_the_answer_to_its_failure_too_costs_its_request_a_500(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    raise_twice.__name__ = "__call__"
    async with proxy_with(monkeypatch, raise_twice) as proxy:
        assert (await proxy.ask()).startswith("HTTP/1.1 500")
        assert proxy.counter("http.web.downstream_rq_active") == 0
        assert proxy.counter("http.web.downstream_rq_5xx") == 1
    assert "before" in caplog.text
    assert "in a hook" in caplog.text


async def test_a_filter_that_does_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_nothing.__name__ = "__call__"
    async with proxy_with(monkeypatch, answer_nothing) as proxy:
        assert (await proxy.ask()).startswith("HTTP/1.1 500")


async def test_a_response_that_breaks_off_is_not_taken_for_a_whole_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        async def events() -> AsyncIterator[bytes]:
            yield b"one"
            raise KeyError("x")

        await exchange.respond(200, events())

    async with proxy_with(monkeypatch, __call__) as proxy:
        with pytest.raises(trio.BrokenResourceError):
            await proxy.ask()
    assert "KeyError" in caplog.text


async def test_what_fails_after_the_response_costs_nothing_but_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        await forward(exchange)
        raise KeyError("too late")

    async with proxy_with(monkeypatch, __call__) as proxy, await proxy.connect() as stream:
        for _ in range(2):
            await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await stream.receive_some()).endswith(b"nothing")
    assert caplog.text.count("KeyError: 'too late'") == 2


async def test_a_body_that_is_too_large_for_it_is_a_413(monkeypatch: pytest.MonkeyPatch) -> None:
    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        await exchange.read_request(limit=8)

    async with proxy_with(monkeypatch, __call__) as proxy:
        chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
        answer = await proxy.ask(chunked, "5\r\nhello\r\n4\r\nhell\r\n0\r\n\r\n")
    assert answer.startswith("HTTP/1.1 413")


async def test_it_is_cancelled_when_the_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of whatever it waits for: here of a sleep, before any answer."""
    begun, ended = trio.Event(), trio.Event()
    failures = []

    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        begun.set()
        try:
            await trio.sleep_forever()
        except BaseException as failure:
            failures.append(type(failure))
            raise
        finally:
            ended.set()

    async with proxy_with(monkeypatch, __call__) as proxy:
        async with await proxy.connect() as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await begun.wait()
        with trio.fail_after(5):
            await ended.wait()
    assert failures == [trio.Cancelled]


@pytest.mark.parametrize("length", [5, 100_000])
async def test_it_goes_on_when_the_client_leaves_with_the_whole_answer(
    monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """Its work behind the answer is not cancelled."""
    left, ended = trio.Event(), trio.Event()

    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        await forward(exchange)
        await left.wait()
        await trio.testing.wait_all_tasks_blocked()
        ended.set()

    async with proxy_with(monkeypatch, __call__) as proxy:
        async with await proxy.connect() as stream:
            head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"
            await stream.send_all(head.encode() + b"x" * (length - 1) + b"!")
            await until(stream, b"!")
        left.set()
        with trio.fail_after(5):
            await ended.wait()


async def test_a_stream_of_events_ends_when_the_client_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = trio.Event()

    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        async def events() -> AsyncIterator[bytes]:
            try:
                yield b"data: 1\n\n"
                await trio.sleep_forever()
            finally:
                ended.set()

        await exchange.respond(200, events(), {"content-type": "text/event-stream"})

    async with proxy_with(monkeypatch, __call__) as proxy:
        async with await proxy.connect() as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await until(stream, b"data: 1")
        with trio.fail_after(5):
            await ended.wait()


async def test_it_may_answer_for_an_upstream_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        try:
            await forward(exchange)
        except ProxyError as failure:
            await exchange.respond(200, f"from the attic: {failure.flag}")

    async def broken(stream: trio.SocketStream, _head: str, _body: bytes) -> None:
        return

    monkeypatch.setattr("filters.http.test_python.echo", broken)
    async with proxy_with(monkeypatch, __call__) as proxy:
        assert (await proxy.ask()).endswith("from the attic: UC")


async def test_it_may_not_answer_twice(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        await exchange.respond(200, "once")
        await forward(exchange)

    async with proxy_with(monkeypatch, __call__) as proxy:
        assert (await proxy.ask()).endswith("once")
    assert "the response is on its way already" in caplog.text


async def test_an_interim_response_can_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def __call__(self: object, exchange: Exchange, forward: Forward[Exchange]) -> None:
        await exchange.stream.inform(Response(status=103, reason="Early Hints"))
        await forward(exchange)

    async with proxy_with(monkeypatch, __call__) as proxy:
        assert (await proxy.ask()).startswith("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK")
