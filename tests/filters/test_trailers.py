"""Fields behind a body stay behind it, whatever a filter makes of the body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from h2_peer import H2Peer
from serving import http

if TYPE_CHECKING:
    from pathlib import Path

    from serving import Serving

FILTERS = """
async def louder(pieces):
    async for piece in pieces:
        yield piece.upper()

class Transform:
    async def __call__(self, exchange, forward):
        exchange.transform_request(louder)
        exchange.transform_response(louder)
        await forward(exchange)

class Read:
    async def __call__(self, exchange, forward):
        @exchange.on_response
        async def look(exchange):
            await exchange.read_response()
        await forward(exchange)
"""


@pytest.mark.parametrize("name", ["Transform", "Read"])
@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_they_stay(serving: Serving, tmp_path: Path, name: str, version: str) -> None:
    (tmp_path / "louder.py").write_text(FILTERS)
    filters = f"http_filters: [{{python: {{filter: 'louder:{name}'}}}}, {{router: {{}}}}],"
    async with serving(http(filters, cluster="protocol: http2")) as proxy:
        if version == "http2":
            client = await H2Peer.greet(await proxy.connect())
            stream = await client.ask("POST", "/", body=b"abc", ended=False)
        else:
            await proxy.play("client >> POST / HTTP/1.1 | host: a | transfer-encoding: chunked |")
            await proxy.play("client >> 3 | abc | 0 | x-sum: 3 |")
        origin = await H2Peer.greet(await proxy.origin.accept(), client=False)
        number, asked = await origin.asked(ended=False)
        if version == "http2":
            await client.trailers(stream, {"x-sum": "3"})
        await origin.until(lambda: asked.ended)
        assert asked.trailers == {"x-sum": "3"}
        assert asked.body == (b"ABC" if name == "Transform" else b"abc")
        await origin.respond(number, b"def", ended=False)
        await origin.trailers(number, {"x-sum": "4"})
        if version == "http2":
            answer = await client.answer(stream)
            assert answer.trailers == {"x-sum": "4"}
            assert answer.body == (b"DEF" if name == "Transform" else b"def")
        elif name == "Transform":
            said = await (await proxy.party("client")).head()
            assert b"chunked" in said
            await proxy.play("client << 3 | DEF | 0 | x-sum: 4 |")
        else:
            assert (await (await proxy.party("client")).head()).startswith(b"HTTP/1.1 200 ")
            await proxy.play("client << def\\")
