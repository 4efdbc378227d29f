"""What demo.yaml serves: events, JSON, an echo, and a line protocol."""

import json
from collections.abc import AsyncIterator

import trio

from trioproxy.filters.api import Connection, Exchange, Forward

LONGEST_LINE = 4096


class Demo:
    """Answers some paths itself and leaves the others to the filters behind it."""

    def __init__(self, interval: float = 1.0) -> None:
        self.interval = interval
        self.answers = {"/events": self.events, "/whoami": self.whoami, "/shout": self.shout}

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        path = exchange.request.path.partition("?")[0]
        await self.answers.get(path, forward)(exchange)

    async def events(self, exchange: Exchange) -> None:
        """Server-sent events until the client has had enough."""
        headers = {"content-type": "text/event-stream", "cache-control": "no-store"}
        await exchange.respond(200, self.ticks(), headers)

    async def ticks(self) -> AsyncIterator[bytes]:
        begun = trio.current_time()
        while True:
            yield b"event: tick\ndata: %.3f seconds\n\n" % (trio.current_time() - begun)
            await trio.sleep(self.interval)

    async def whoami(self, exchange: Exchange) -> None:
        request, connection = exchange.request, exchange.connection
        facts = {
            "from": connection.remote,
            "connection": connection.id,
            "request": f"{request.method} {request.path}",
            "headers": dict(request.headers),
        }
        text = json.dumps(facts, indent=2) + "\n"
        await exchange.respond(200, text, {"content-type": "application/json"})

    async def shout(self, exchange: Exchange) -> None:
        """The request's body in capitals, each piece as soon as it comes."""
        exchange.transform_request(capitals)
        await exchange.respond(200, exchange.request_body, {"content-type": "text/plain"})


async def capitals(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece.upper()


class Lines:
    """A network filter that ends its chain: answers each line, until the client says `bye`."""

    async def __call__(self, connection: Connection, _forward: Forward[Connection]) -> None:
        await connection.send(b"Say something, or bye.\n")
        rest = b""
        while data := await connection.receive():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.strip() == b"bye":
                    await connection.send(b"Bye.\n")
                    return
                await connection.send(b"You said: %b\n" % line.strip())
            if len(rest) > LONGEST_LINE:
                await connection.send(b"That is too long a line.\n")
                return
