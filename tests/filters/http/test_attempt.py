"""One try at a request: what an upstream may do to those who wait for its response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dialogue import wire
from serving import http

if TYPE_CHECKING:
    from dialogue import Peer
    from serving import Serving


@pytest.mark.parametrize(
    "interim", ["HTTP/1.1 100 Continue |", "HTTP/1.1 103 Early Hints | a: b |"]
)
async def test_interim_responses_without_end_are_no_response(
    serving: Serving, interim: str
) -> None:
    async def flood(peer: Peer) -> None:
        await peer.head()
        while True:
            await peer.say_slowly(wire(interim) * 100)

    async with serving(http(route="timeout: 100ms")) as proxy, proxy.origin.behaving(flood):
        client = await proxy.connect()
        await client.say(wire("GET / HTTP/1.1 | host: a |"))
        while b"HTTP/1.1 504 Gateway Timeout\r\n" not in client.heard[-200:]:
            assert await client.more()
    assert proxy.log[0]["flags"] == "UT"
