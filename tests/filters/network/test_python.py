from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import trio
from planes import open_proxy
from trio.testing import wait_all_tasks_blocked

from trioproxy.drain.lifetime import Cause
from trioproxy.filters.testing import talk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from planes import Proxy
    from trio.testing import MockClock

    from trioproxy.filters.api import Connection, Forward

CONFIG = """
listeners:
- name: db
  address: 127.0.0.1:0
  filters: [{python: "under_test:serve"}, {tcp_proxy: {stat_prefix: db, cluster: db}}]
clusters: [{name: db, endpoints: [127.0.0.1:1]}]
"""


async def greet(stream: trio.SocketStream) -> None:
    await stream.send_all(b"hello " + await stream.receive_some())


@asynccontextmanager
async def proxy_with(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., object]
) -> AsyncIterator[Proxy]:
    module = ModuleType("under_test")
    module.serve = serve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "under_test", module)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, greet, 0, host="127.0.0.1"))
        async with open_proxy(CONFIG, {"db": listener.socket.getsockname()[1]}) as proxy:
            yield proxy
        nursery.cancel_scope.cancel()


async def test_it_brackets_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = trio.Event()

    async def serve(connection: Connection, forward: Forward[Connection]) -> None:
        assert connection.remote_ip == "127.0.0.1"
        await forward(connection)
        ended.set()

    async with proxy_with(monkeypatch, serve) as proxy, await proxy.connect() as stream:
        await stream.send_all(b"world")
        assert await stream.receive_some() == b"hello world"
        assert not ended.is_set()
        await stream.aclose()
        await ended.wait()


async def test_it_may_end_the_chain_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(connection: Connection, _forward: Forward[Connection]) -> None:
        while data := await connection.receive():
            await connection.send(data.upper())

    async with proxy_with(monkeypatch, serve) as proxy, await proxy.connect() as stream:
        await stream.send_all(b"loud")
        assert await stream.receive_some() == b"LOUD"
        await stream.send_eof()
        assert await stream.receive_some() == b""


async def test_one_that_fails_costs_its_own_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve(connection: Connection, _forward: Forward[Connection]) -> None:
        if await connection.receive() == b"bad":
            raise KeyError("x")
        await connection.send(b"fine")

    async with proxy_with(monkeypatch, serve) as proxy:
        for said, heard in ((b"good", b"fine"), (b"bad", None), (b"good", b"fine")):
            async with await proxy.connect() as stream:
                await stream.send_all(said)
                if heard is None:
                    with pytest.raises(trio.BrokenResourceError):
                        await stream.receive_some()
                else:
                    assert await stream.receive_some() == heard
    (line,) = caplog.records
    assert line.message == "a filter of listener db failed"
    assert "KeyError" in caplog.text


async def test_a_client_that_breaks_off_is_no_failure_of_the_filter(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended = trio.Event()

    async def serve(connection: Connection, _forward: Forward[Connection]) -> None:
        async def wait() -> None:
            raise ConnectionResetError

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.sleep_forever()
        finally:
            ended.set()

    async with proxy_with(monkeypatch, serve) as proxy, await proxy.connect() as stream:
        await ended.wait()
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
    assert not caplog.records


async def test_one_can_be_tested_without_a_socket() -> None:
    async def shout(connection: Connection, _forward: Forward[Connection]) -> None:
        while data := await connection.receive():
            await connection.send(data.upper())

    assert await talk(shout, b"he", b"llo") == b"HELLO"


async def test_one_with_a_nursery_is_ended_without_a_reset(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def serve(connection: Connection, _forward: Forward[Connection]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await connection.receive()

    async with proxy_with(monkeypatch, serve) as proxy, await proxy.connect() as stream:
        await wait_all_tasks_blocked()
        proxy.drain(Cause.RESTART, 10, time=0)
        assert await stream.receive_some() == b""
        assert trio.current_time() < 11
