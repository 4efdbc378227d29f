"""An HTTP server on h11 that says what it was asked, and makes bodies of any size.

`/bytes/N` answers N bytes by length, `/stream/N` in chunks; every other path answers the facts of
the request as JSON.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

import h11
import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

PIECE = bytes(range(256)) * 256


def pattern(size: int) -> Iterator[bytes]:
    """Return the pieces of a body that can be told from any other."""
    whole, rest = divmod(size, len(PIECE))
    yield from [PIECE] * whole
    yield PIECE[:rest]


def digest(size: int) -> str:
    """Return the SHA-256 of such a body."""
    return hashlib.sha256(b"".join(pattern(size))).hexdigest()


@asynccontextmanager
async def open_origin(
    listener: trio.SocketListener, pages: Mapping[bytes, bytes] | None = None
) -> AsyncIterator[None]:
    """Serve within the block, and `pages` of HTML by their paths."""
    numbers = count(1)

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, h11.RemoteProtocolError):
            await Connection(stream, next(numbers), pages or {}).serve()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield
        nursery.cancel_scope.cancel()


class Connection:
    """One connection, the `number`th."""

    def __init__(
        self, stream: trio.SocketStream, number: int, pages: Mapping[bytes, bytes]
    ) -> None:
        self.stream = stream
        self.number = number
        self.pages = pages
        self.http = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        """Answer one request after the other."""
        while isinstance(request := await self.next_event(), h11.Request):
            body = hashlib.sha256()
            size = 0
            while isinstance(event := await self.next_event(), h11.Data):
                body.update(event.data)
                size += len(event.data)
            await self.answer(request, {"size": size, "sha256": body.hexdigest()})
            if self.http.our_state is not h11.DONE:
                return
            self.http.start_next_cycle()

    async def next_event(self) -> object:
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(await self.stream.receive_some())
        return event

    async def answer(self, request: h11.Request, body: dict[str, object]) -> None:
        page = self.pages.get(request.target)
        match request.target.decode().split("/"):
            case _ if page is not None:
                await self.send(request, [page], [("content-type", "text/html")])
            case ["", "bytes", size]:
                await self.send(request, pattern(int(size)), [("content-length", size)])
            case ["", "stream", size]:
                await self.send(request, pattern(int(size)), [])
            case _:
                facts = json.dumps(self.facts(request) | body).encode()
                await self.send(request, [facts], [("content-length", str(len(facts)))])

    def facts(self, request: h11.Request) -> dict[str, object]:
        return {
            "method": request.method.decode(),
            "target": request.target.decode(),
            "headers": {name.decode(): value.decode() for name, value in request.headers},
            "connection": self.number,
        }

    async def send(
        self, request: h11.Request, pieces: Iterable[bytes], headers: list[tuple[str, str]]
    ) -> None:
        await self.say(h11.Response(status_code=200, headers=headers))
        for piece in pieces if request.method != b"HEAD" else ():
            await self.say(h11.Data(data=piece))
        await self.say(h11.EndOfMessage())

    async def say(self, event: h11.Event) -> None:
        data = self.http.send(event)
        if data:
            await self.stream.send_all(data)
