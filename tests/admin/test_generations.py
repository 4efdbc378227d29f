"""Both generations, in words, in JSON, and live on the page."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.admin.generations import events

if TYPE_CHECKING:
    import httpx
    from trio.testing import MockClock

    from admin.conftest import FakeInstance


async def test_in_words(client: httpx.AsyncClient) -> None:
    """A72: who leaves, how many, and until when; beside it who serves."""
    text = (await client.get("/generations")).text
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert rows == [
        "open idle told moving next last",
        "epoch 3 serving",
        "web 2 0 0 0 - -",
        "db 0 0 0 0 - -",
        "epoch 2 draining",
        "1,200 of 1,500 left, 290 moved, 2 declined, next in 4 s, last in 30 s",
        "web 1,200 7 3 1 4 s 30 s",
        "HTTP/1.1 1,193 notice 1,190, idle 3",
        "WebSocket 7 life 7",
        "db 0 0 0 0 - -",
        "last: 192.0.2.7:40312 at web, WebSocket, for 1 h 2 min: bytes flow, told to leave,"
        " gone in 30 s at the latest",
        "last: a Unix socket at web, HTTP/1.1, for 59 s: waits for a request,"
        " not told to leave yet",
        "starts",
        "2026-01-01 00:00:00 UTC epoch 2 0.75 s took over",
        "2026-01-01 01:00:00 UTC epoch 3 60.00 s died before it was ready",
    ]


async def test_in_json(client: httpx.AsyncClient) -> None:
    """A61: the effective drain of each listener and its filter, written as one configures it."""
    found = (await client.get("/generations?format=json")).json()
    assert [each["epoch"] for each in found["generations"]] == [3, 2]
    assert found["generations"][1]["listeners"][0]["last"] == 30.0
    (first, _) = found["generations"][1]["connections"]
    assert (first["id"], first["received"], first["due"]) == ("2.0.17", 2048, 30)
    assert found["generations"][1]["listeners"][0]["protocols"][1]["life"] == 7
    assert [each["outcome"] for each in found["history"]] == [
        "took over",
        "died before it was ready",
    ]
    assert found["drain"]["web"] == {
        "notice": "25%",
        "idle": "50%",
        "stream": "100%",
        "life": "100%",
        "quiet": None,
        "hand_over": True,
        "max_per_second": None,
    }


async def test_on_the_page(client: httpx.AsyncClient) -> None:
    """A87: usable as it is, without a script."""
    page = (await client.get("/")).text
    assert "epoch 2, draining" in page
    assert "<td>1,200</td>" in page
    assert '<progress max="1500" value="300"></progress>1,200 of 1,500 left' in page
    assert "last: 192.0.2.7:40312 at web, WebSocket" in page
    assert "Connections of epoch 2, 2 of 1,200" in page
    form = '<form method="post" action="/connections/close?id=2.0.17"><button>close</button></form>'
    assert form in page
    assert '<td title="received">2.0 KiB</td><td title="sent">99 B</td>' in page
    assert page.index("died before it was ready") < page.index("took over")


async def test_what_others_say_is_text(client: httpx.AsyncClient, instance: FakeInstance) -> None:
    first, *_ = instance.standing
    nasty = "<script>"
    instance.standing = (attrs.evolve(first, peer=nasty, listener=nasty, protocol=nasty),)
    instance.history = (attrs.evolve(instance.history[0], outcome=nasty),)
    page = (await client.get("/")).text
    assert page.count(nasty) == 1
    assert page.count("&lt;script&gt;") == 7


async def test_again_and_again(instance: FakeInstance, autojump_clock: MockClock) -> None:
    begun = trio.current_time()
    async with aclosing(events(instance)) as stream:
        seen = [await anext(stream) for _ in range(3)]
    assert trio.current_time() - begun == 2
    assert all(re.fullmatch(r'data: ".*epoch 3, serving.*"\n\n', each) for each in seen)
