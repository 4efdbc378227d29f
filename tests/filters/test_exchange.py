from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.codec.messages import Response
from trioproxy.filters.bodies import BodyTooLarge
from trioproxy.filters.testing import Client, Pieces, Upstream, ask, exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trioproxy.filters.chain import Forward
    from trioproxy.filters.exchange import Exchange


async def shout(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece.upper()


async def exclaim(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
    yield b" ok"


async def test_a_text_is_plain_and_bytes_are_what_their_author_says() -> None:
    client = Client()
    await exchange(client).respond(200, "grüße")
    assert (client.headers.get("content-type"), client.body) == (
        "text/plain; charset=utf-8",
        "grüße".encode(),
    )
    client = Client()
    await exchange(client).respond(200, b"{}", {"Content-Type": "application/json"})
    assert list(client.headers) == [("content-type", "application/json")]
    client = Client()
    await exchange(client).respond(204)
    assert (client.status, client.response.reason, len(client.headers)) == (204, "No Content", 0)


async def test_an_iterable_is_streamed() -> None:
    client = Client()
    await exchange(client).respond(200, Pieces(b"a", b"b"))
    assert client.pieces == [b"a", b"b"]


async def test_a_header_that_cannot_be_sent_is_refused_and_another_answer_may_follow() -> None:
    client = Client()
    asked = exchange(client)
    with pytest.raises(ValueError, match="control character"):
        await asked.respond(200, headers={"x-a": "1\r\nx-b: 2"})
    await asked.respond(500)
    assert client.status == 500


async def test_there_is_one_response() -> None:
    asked = exchange(Client())
    await asked.respond(200)
    with pytest.raises(RuntimeError, match="on its way already"):
        await asked.respond(200)
    with pytest.raises(RuntimeError, match="on its way already"):
        asked.transform_response(shout)


async def test_hooks_run_from_the_last_to_the_first_before_the_response_is_sent() -> None:
    client, order = Client(), []
    asked = exchange(client)

    @asked.on_response
    async def first(asked: Exchange) -> None:
        order.append("first")
        assert asked.response is not None
        asked.response.status = 404
        assert not asked.responded

    @asked.on_response
    async def second(_asked: Exchange) -> None:
        order.append("second")

    assert not asked.complete
    await asked.respond(200)
    assert order == ["second", "first"]
    assert (client.status, asked.complete) == (404, True)


async def test_a_hook_that_fails_is_out_of_the_way_of_the_answer_that_tells_of_it() -> None:
    client = Client()
    asked = exchange(client)

    @asked.on_response
    async def outer(_asked: Exchange) -> None:
        raise AssertionError("is not called for the second response")

    @asked.on_response
    async def failing(_asked: Exchange) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await asked.respond(200)
    await asked.respond(500)
    assert client.status == 500


@pytest.mark.parametrize("method", ["transform_response", "transform_request"])
async def test_transforms_chain_whatever_holds_the_body(method: str) -> None:
    async def shouting(asked: Exchange, forward: Forward[Exchange]) -> None:
        getattr(asked, method)(shout)
        getattr(asked, method)(exclaim)
        await forward(asked)

    upstream = Upstream(b"he", b"llo")
    client = await ask(shouting, upstream, "POST", body=(b"he", b"llo"))
    if method == "transform_request":
        assert (upstream.body, client.body) == (b"HELLO ok", b"hello")
    else:
        assert (upstream.body, client.body) == (b"hello", b"HELLO OK")


async def test_a_transform_in_a_hook_is_at_once() -> None:
    client = Client()
    asked = exchange(client)

    @asked.on_response
    async def begin(asked: Exchange) -> None:
        asked.transform_response(shout)
        asked.transform_response(exclaim)

    await asked.respond(200, "hello")
    assert client.body == b"HELLO ok"


@pytest.mark.parametrize(
    "response",
    [Response(status=204), Response(status=304), Response(status=200, content_length=0)],
    ids=repr,
)
async def test_what_has_no_body_gets_none(response: Response) -> None:
    client = Client()
    asked = exchange(client)
    asked.transform_response(exclaim)
    asked.transform_request(exclaim)
    assert not [piece async for piece in asked.request_body]
    await asked.send(response, b"")
    assert client.pieces == []


async def test_the_response_to_a_head_promises_no_length_that_a_transform_changes() -> None:
    asked = exchange(Client(), "HEAD")
    asked.transform_response(exclaim)
    await asked.send(Response(status=200, content_length=5, bodiless=True), b"")
    assert asked.response is not None
    assert asked.response.content_length is None


async def test_bodies_are_read_whole_and_still_go_on() -> None:
    seen = []

    async def reading(asked: Exchange, forward: Forward[Exchange]) -> None:
        seen.append(await asked.read_request())
        asked.on_response(read_response)
        await forward(asked)

    async def read_response(asked: Exchange) -> None:
        seen.append(await asked.read_response())

    upstream = Upstream(b"an", b"swer")
    client = await ask(reading, upstream, "POST", body=(b"quest", b"ion"))
    assert seen == [upstream.body, client.body] == [b"question", b"answer"]


async def test_a_body_too_large_to_be_read_whole_is_told_by_its_side() -> None:
    asked = exchange(Client(), "POST", body=(b"12", b"34"))
    with pytest.raises(BodyTooLarge, match="larger than 3 bytes") as too_large:
        await asked.read_request(limit=3)
    assert too_large.value.answer == 413

    async def read_response(asked: Exchange) -> None:
        await asked.read_response(limit=3)

    asked = exchange(Client())
    asked.on_response(read_response)
    with pytest.raises(BodyTooLarge) as too_large:
        await asked.respond(200, "1234")
    assert too_large.value.answer == 502


async def test_generators_are_closed_however_far_they_came() -> None:
    closed = []

    async def counting(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for piece in pieces:
                yield piece
        finally:
            closed.append("inner")

    async def breaking(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
            raise KeyError("x")

    asked = exchange(Client())
    asked.transform_response(breaking)
    asked.transform_response(counting)
    with pytest.raises(KeyError):
        await asked.respond(200, Pieces(b"a", b"b"))
    await asked.close_bodies()
    assert closed == ["inner"]
    assert asked.responded
    assert not asked.complete
