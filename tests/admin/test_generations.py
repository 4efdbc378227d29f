"""Both generations, in words, in JSON, and live on the page."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING

import trio

from trioproxy.admin.generations import events

if TYPE_CHECKING:
    import httpx
    from trio.testing import MockClock

    from admin.conftest import FakeInstance


async def test_in_words(client: httpx.AsyncClient) -> None:
    """A72: who leaves, how many, and until when; beside it who serves."""
    text = (await client.get("/generations")).text
    rows = [line.split() for line in text.splitlines()]
    assert rows == [
        ["open", "idle", "told", "moving", "next", "last"],
        ["epoch", "3", "serving"],
        ["web", "2", "0", "0", "0", "-", "-"],
        ["db", "0", "0", "0", "0", "-", "-"],
        ["epoch", "2", "draining"],
        ["web", "1,200", "7", "3", "1", "4", "s", "30", "s"],
        ["db", "0", "0", "0", "0", "-", "-"],
    ]


async def test_in_json(client: httpx.AsyncClient) -> None:
    """A61: the effective drain of each listener and its filter, written as one configures it."""
    found = (await client.get("/generations?format=json")).json()
    assert [each["epoch"] for each in found["generations"]] == [3, 2]
    assert found["generations"][1]["listeners"][0]["last"] == 30.0
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
    page = (await client.get("/")).text
    assert "epoch 2, draining" in page
    assert "<td>1,200</td>" in page


async def test_again_and_again(instance: FakeInstance, autojump_clock: MockClock) -> None:
    begun = trio.current_time()
    async with aclosing(events(instance)) as stream:
        seen = [await anext(stream) for _ in range(3)]
    assert trio.current_time() - begun == 2
    assert all(re.fullmatch(r'data: ".*epoch 3, serving.*"\n\n', each) for each in seen)
