"""A gateway to a language model: who may ask, and how many tokens each of them used."""

import json
from collections.abc import AsyncIterator, Mapping
from functools import partial

from trioproxy.filters.api import Exchange, Forward, HttpTools

LONGEST_EVENT = 1 << 20


class Gateway:
    """Lets in who has a key, and counts what the model says that they used.

    `keys` maps API keys to names. `http.<stat_prefix>.tokens.<name>` counts tokens and
    `http.<stat_prefix>.refused` requests without a key; `/stats` shows them.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self.keys = keys

    def prepare(self, tools: HttpTools) -> "Gateway":
        """Set up the counters: called once per worker, before anything is served."""
        counter = tools.worker.stats.counter
        self.refused = counter(f"{tools.scope}.refused")
        self.tokens = {name: counter(f"{tools.scope}.tokens.{name}") for name in self.keys.values()}
        return self

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        headers = exchange.request.headers
        name = self.keys.get(headers.get("authorization", "").removeprefix("Bearer "))
        if name is None:
            self.refused.add()
            await self.refuse(exchange)
            return
        headers.remove("authorization")  # the model has keys of its own
        headers.remove("accept-encoding")
        headers.set("x-user", name)
        exchange.on_response(partial(self.look, name))
        await forward(exchange)

    async def refuse(self, exchange: Exchange) -> None:
        error = {"error": {"type": "authentication_error", "message": "no such key"}}
        headers = {"content-type": "application/json", "www-authenticate": "Bearer"}
        await exchange.respond(401, json.dumps(error), headers)

    async def look(self, name: str, exchange: Exchange) -> None:
        assert exchange.response
        kind = exchange.response.headers.get("content-type", "").partition(";")[0]
        if kind == "text/event-stream":
            exchange.transform_response(partial(self.counted, name))
        elif kind == "application/json":
            self.count(name, await exchange.read_response(limit=LONGEST_EVENT))

    async def counted(self, name: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass events on at once, and look into each that is complete."""
        rest = b""
        async for piece in pieces:
            yield piece
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    self.count(name, line.removeprefix(b"data:"))
            rest = rest[:LONGEST_EVENT]

    def count(self, name: str, text: bytes) -> None:
        if b'"usage"' not in text:
            return
        try:
            self.tokens[name].add(json.loads(text)["usage"]["total_tokens"])
        except (ValueError, KeyError, TypeError):
            return  # null before the last event, or not for us
