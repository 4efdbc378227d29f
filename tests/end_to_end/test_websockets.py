"""The `websockets` library as a client and as a server, with the real proxy in between."""

from __future__ import annotations

import random
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import trio
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.trio.client import connect
from websockets.trio.server import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conftest import Before
    from websockets.http11 import Request, Response
    from websockets.trio.server import ServerConnection

    Connect = Callable[..., connect]

YAML = """
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: web
      upgrades: [websocket]
      routes: [{match: {prefix: /}, route: {cluster: chat}}]
clusters:
- {name: chat, endpoints: [$origin]}
"""
LARGE = 5_000_000


class Chat:
    """A server that does what the path says; `left` tells what its clients left with."""

    def __init__(self) -> None:
        self._leaving, self.left = trio.open_memory_channel[tuple[int | None, str | None]](100)

    async def __call__(self, server: ServerConnection) -> None:
        assert server.request
        match server.request.path:
            case "/hello":
                await server.send("hello")
                await server.aclose(4001, "enough")
            case "/break":
                await server.stream.aclose()
            case _:
                with suppress(ConnectionClosed):
                    while True:
                        await server.send(await server.recv())
                self._leaving.send_nowait((server.close_code, server.close_reason))


def refuse(server: ServerConnection, request: Request) -> Response | None:
    if request.path == "/secret":
        return server.respond(HTTPStatus.FORBIDDEN, "not you\n")
    return None


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
async def dial(before: Before, chat: Chat) -> AsyncIterator[Connect]:
    """Connect to a path of the server, through the proxy."""
    async with trio.open_nursery() as nursery:
        options = {"process_request": refuse, "max_size": 2 * LARGE, "subprotocols": ["soup"]}
        await nursery.start(partial(serve, chat, listeners=[before.listener()], **options))
        url = before.url.replace("http", "ws")
        wishes = {"max_size": 2 * LARGE, "subprotocols": ["salad", "soup"]}
        yield lambda path, **more: connect(url + path, **(wishes | more))
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_messages_of_every_kind(dial: Connect, compression: str | None) -> None:
    large = random.Random(1).randbytes(LARGE)
    async with dial("/echo", compression=compression) as client:
        for message in ("short", "ünïcödé" * 1000, b"\x00\xff", b"", large):
            await client.send(message)
            assert await client.recv() == message
        await client.send([large[:1000], large[1000:2000]])  # fragments
        assert await client.recv() == large[:2000]
        await (await client.ping()).wait()


async def test_a_client_says_goodbye(dial: Connect, chat: Chat) -> None:
    async with dial("/echo") as client:
        assert client.subprotocol == "soup"
        await client.send("hi")
        assert await client.recv() == "hi"
        await client.aclose(4000, "bye")
    assert await chat.left.receive() == (4000, "bye")


async def test_a_server_speaks_first_and_says_goodbye(dial: Connect) -> None:
    async with dial("/hello") as client:
        assert await client.recv() == "hello"
        with pytest.raises(ConnectionClosedError, match="4001"):
            await client.recv()
        assert (client.close_code, client.close_reason) == (4001, "enough")


async def test_a_server_that_breaks_off(dial: Connect) -> None:
    async with dial("/break") as client:
        with pytest.raises(ConnectionClosedError, match="no close frame"):
            await client.recv()


async def test_a_handshake_that_is_refused(dial: Connect) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await dial("/secret").__aenter__()
    assert caught.value.response.status_code == 403
    assert caught.value.response.body == b"not you\n"


async def test_many_at_once(dial: Connect, chat: Chat) -> None:
    async def talk(number: int) -> None:
        async with dial("/echo") as client:
            for count in range(10):
                await client.send(f"{number} {count}")
                assert await client.recv() == f"{number} {count}"

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(talk, number)
    assert [await chat.left.receive() for _ in range(50)] == [(1000, "")] * 50
