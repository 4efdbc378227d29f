"""hypercorn on a loopback socket: it answers, and it ends when it is told to."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
import trio
import trio.testing
from starlette.responses import PlainTextResponse

from trioproxy.admin import serving
from trioproxy.admin.admin import open_admin
from trioproxy.admin.serving import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from admin.conftest import FakeInstance

REQUEST = b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def url(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


@asynccontextmanager
async def served(instance: FakeInstance, listening: socket.socket) -> AsyncIterator[None]:
    with open_admin(instance) as admin:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(admin.serve, listening)
            yield
            nursery.cancel_scope.cancel()


async def test_it_answers(instance: FakeInstance, listening: socket.socket) -> None:
    """A85."""
    async with served(instance, listening), httpx.AsyncClient(base_url=url(listening)) as client:
        for _ in range(2):
            assert (await client.get("/ready")).text == "LIVE\n"
        answer = await client.get("/hot_restart_version")
        assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
        assert "server" not in answer.headers


async def test_it_can_be_served_on_again(instance: FakeInstance, listening: socket.socket) -> None:
    """The socket stays main's: what a hot restart that fails needs."""
    with open_admin(instance) as admin:
        for _ in range(2):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(admin.serve, listening)
                async with httpx.AsyncClient(base_url=url(listening)) as client:
                    assert (await client.get("/ready")).text == "LIVE\n"
                nursery.cancel_scope.cancel()


async def test_it_answers_on_a_unix_socket(instance: FakeInstance, tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        async with served(instance, listening):
            transport = httpx.AsyncHTTPTransport(uds=path)
            async with httpx.AsyncClient(transport=transport) as client:
                assert (await client.get("http://localhost/ready")).text == "LIVE\n"


async def test_nothing_is_imported_before_somebody_asks() -> None:
    """Importing them takes long enough to be late for readiness."""
    program = """
import socket, sys, trio
from trioproxy.admin.admin import Admin
async def serve(listening):
    with trio.move_on_after(0.01):
        await Admin(None, ()).serve(listening)
with socket.create_server(("127.0.0.1", 0)) as listening:
    trio.run(serve, listening)
sys.exit(bool({"hypercorn", "starlette"} & set(sys.modules)))
"""
    import sys

    done = await trio.run_process([sys.executable, "-c", program], check=False)
    assert done.returncode == 0


async def flood(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with more than any buffer takes."""
    await PlainTextResponse("x" * 50_000_000)(scope, receive, send)


async def start_reading(stream: trio.SocketStream) -> int:
    """Ask, and read until the body is being sent; returns how much was read."""
    await stream.send_all(REQUEST)
    received = 0
    while received < 100_000:
        received += len(await stream.receive_some())
    return received


@pytest.mark.timeout(10)
async def test_a_client_that_does_not_read_delays_the_end_by_no_more_than_the_grace(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing closes its stream, this test does not end."""
    monkeypatch.setattr(serving, "GRACE", 0.05)
    stream = await trio.open_tcp_stream(*listening.getsockname())
    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(Server(flood).serve, listening)
        await start_reading(stream)
        nursery.cancel_scope.cancel()


async def test_an_answer_that_is_being_sent_is_finished(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "GRACE", 60)
    stream = await trio.open_tcp_stream(*listening.getsockname())
    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(Server(flood).serve, listening)
        received = await start_reading(stream)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            async for data in stream:
                received += len(data)
    assert received > 50_000_000


class Slow:
    """Sends the head, then waits to be told before it sends the body."""

    def __init__(self) -> None:
        self.halfway, self.go_on = trio.Event(), trio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.halfway.set()
        await self.go_on.wait()
        await send({"type": "http.response.body", "body": b"all of it"})


async def read_all(stream: trio.SocketStream) -> bytes:
    return b"".join([data async for data in stream])


async def test_nobody_who_asked_or_is_about_to_ask_goes_without_an_answer(
    listening: socket.socket,
) -> None:
    """A36: an answer in the making is finished, and a newcomer's request is heard."""
    slow = Slow()
    asked = await trio.open_tcp_stream(*listening.getsockname())
    newcomer = await trio.open_tcp_stream(*listening.getsockname())
    async with asked, newcomer, trio.open_nursery() as nursery:
        nursery.start_soon(Server(slow).serve, listening)
        await asked.send_all(REQUEST)
        await slow.halfway.wait()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
            slow.go_on.set()
            assert (await read_all(asked)).endswith(b"all of it\r\n0\r\n\r\n")
            await newcomer.send_all(REQUEST)
            answer = await read_all(newcomer)
            assert b"connection: close" in answer.lower()
            assert answer.endswith(b"all of it\r\n0\r\n\r\n")


@pytest.mark.timeout(10)
async def test_who_has_been_answered_is_not_waited_for(
    instance: FakeInstance, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "GRACE", 60)
    async with httpx.AsyncClient(base_url=url(listening)) as client, served(instance, listening):
        assert (await client.get("/ready")).text == "LIVE\n"


async def test_a_connection_that_fails_costs_nobody_else(
    instance: FakeInstance, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __init__(self, *_: object) -> None:
            raise RuntimeError("a bug")

    async with served(instance, listening), httpx.AsyncClient(base_url=url(listening)) as client:
        assert (await client.get("/ready")).text == "LIVE\n"
        with monkeypatch.context() as patch:
            patch.setattr(serving, "TCPServer", Broken)
            async with await trio.open_tcp_stream(*listening.getsockname()) as stream:
                assert await stream.receive_some() == b""
        assert (await client.get("/ready")).text == "LIVE\n"
