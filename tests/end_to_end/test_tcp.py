"""`tcp_proxy` in real workers."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from conftest import Before, Instance

YAML = """
listeners:
- name: db
  address: 127.0.0.1:0
  filters: [{tcp_proxy: {stat_prefix: db, cluster: db}}]
clusters:
- {name: db, endpoints: [$origin]}
"""
PIECE = bytes(range(256)) * 256
PIECES = 300


@asynccontextmanager
async def upstream(
    before: Before, serve: Callable[[trio.SocketStream], Awaitable[None]]
) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [before.listener()])
        yield
        nursery.cancel_scope.cancel()


async def connect(proxy: Instance) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", proxy.ports["db"])


def resident(proxy: Instance) -> int:
    """Return the resident memory of all workers in bytes."""
    pages = [Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in proxy.workers.values()]
    return sum(map(int, pages)) * os.sysconf("SC_PAGESIZE")


async def test_who_says_all_and_then_listens(before: Before) -> None:
    """The end of the request is a half-close, and so is the end of the answer."""

    async def count(stream: trio.SocketStream) -> None:
        size = sum([len(data) async for data in stream])
        await stream.send_all(b"%d bytes" % size)
        await stream.send_eof()

    async def ask(number: int) -> None:
        async with await connect(before.proxy) as client:
            await client.send_all(bytes(number * 1000))
            await client.send_eof()
            answer = b"".join([data async for data in client])
            assert answer == b"%d bytes" % (number * 1000)

    async with upstream(before, count), trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(ask, number)


async def test_readers_that_sleep_cost_no_memory(before: Before) -> None:
    said = 0

    async def pour(stream: trio.SocketStream) -> None:
        nonlocal said
        for _ in range(PIECES):
            await stream.send_all(PIECE)
            said += 1
        await stream.send_eof()
        await stream.receive_some()

    async with upstream(before, pour):
        clients = [await connect(before.proxy) for _ in range(10)]
        size = resident(before.proxy)
        taken = -1
        while taken != said or not said:
            taken = said
            await trio.sleep(0.1)
        assert said < 10 * PIECES
        assert resident(before.proxy) - size < 16 << 20
        for client in clients:
            async with client:
                length = 0
                async for data in client:
                    offset = length % len(PIECE)
                    assert data == (PIECE * 2)[offset : offset + len(data)]
                    length += len(data)
                assert length == PIECES * len(PIECE)


async def test_a_worker_that_is_killed_ends_its_own_connections(before: Before) -> None:
    async def echo(stream: trio.SocketStream) -> None:
        try:
            async for data in stream:
                await stream.send_all(data)
        except trio.BrokenResourceError:
            pass

    async def alive(client: trio.SocketStream) -> bool:
        try:
            await client.send_all(b"hello")
            return await client.receive_some() == b"hello"
        except trio.BrokenResourceError:
            return False

    proxy = before.proxy
    async with upstream(before, echo), AsyncExitStack() as stack:
        enter = stack.enter_async_context
        clients = [await enter(await connect(proxy)) for _ in range(40)]
        assert all([await alive(client) for client in clients])
        os.kill(proxy.workers[0], signal.SIGKILL)
        await trio.to_thread.run_sync(proxy.wait_for, "is ready")
        left = [client for client in clients if await alive(client)]
        assert 0 < len(left) < 40
        assert await alive(await enter(await connect(proxy)))
