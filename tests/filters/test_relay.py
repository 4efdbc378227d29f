"""Bytes between a client and a host: what either hears of how the other one ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from serving import http, tcp

if TYPE_CHECKING:
    from serving import Serving

TUNNEL = http("upgrades: [connect],", routes="{match: {connect: true}, route: {cluster: app}}")
OPENED = """
    client >> CONNECT a:1 HTTP/1.1 | host: a:1 |
    client << HTTP/1.1 200 OK |
    """
BOTH_KINDS = pytest.mark.parametrize(
    ("yaml", "opened"), [(tcp(), ""), (TUNNEL, OPENED)], ids=["tcp_proxy", "tunnel"]
)


@BOTH_KINDS
async def test_each_direction_ends_by_itself(serving: Serving, yaml: str, opened: str) -> None:
    async with serving(yaml) as proxy:
        await proxy.play(
            f"""
            {opened}
            client >> hello\\
            origin << hello\\
            client >> (fin)
            origin << (fin)
            origin >> welcome\\
            client << welcome\\
            origin >> (fin)
            client << (fin)
            """
        )
    assert [(line["flags"], line["received"], line["sent"]) for line in proxy.log] == [(None, 5, 7)]


@BOTH_KINDS
async def test_a_client_that_is_reset(serving: Serving, yaml: str, opened: str) -> None:
    async with serving(yaml) as proxy:
        await proxy.play(
            f"""
            {opened}
            client >> hello\\
            origin << hello\\
            client >> (reset)
            origin << (reset)
            """
        )
    assert proxy.log[0]["flags"] == "DC"


@BOTH_KINDS
async def test_a_host_that_is_reset(serving: Serving, yaml: str, opened: str) -> None:
    async with serving(yaml) as proxy:
        await proxy.play(
            f"""
            {opened}
            client >> hello\\
            origin << hello\\
            origin >> (reset)
            client << (reset)
            """
        )
    assert proxy.log[0]["flags"] == "UC"


@BOTH_KINDS
async def test_the_last_words_of_a_host_that_closes_on_its_client(
    serving: Serving, yaml: str, opened: str
) -> None:
    """Its RST answers what the client still says, and must not eat what it has said itself."""
    async with serving(yaml) as proxy:
        await proxy.play(opened)
        client = await proxy.party("client")
        await proxy.play("client >> hello\\ \n origin << hello\\")
        origin = await proxy.party("origin")
        words = bytes(range(256)) * 2000  # more than the client is given before it reads
        await origin.say_slowly(words)
        origin.close()
        await proxy.quiet()
        for _ in range(3):
            await client.say(b"are you there?")
            await proxy.quiet()
        assert await client.rest() == words
        assert client.end == "(fin)"
    assert proxy.log[0]["flags"] is None
