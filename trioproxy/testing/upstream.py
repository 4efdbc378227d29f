"""Upstreams of a proxy under test."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import trio

from trioproxy.testing.background import open_background
from trioproxy.testing.configuration import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Serve = Callable[[trio.SocketStream], Awaitable[object]]


@asynccontextmanager
async def open_upstream(
    serve: Serve,
) -> AsyncIterator[int]:
    """Have `serve` talk to each connection; yields the port.

    That the proxy breaks off is no error.
    """

    async def talk(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await serve(stream)

    async with open_background() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, talk, 0, host=LOOPBACK))
        yield listeners[0].socket.getsockname()[1]
