"""Which HTTP is spoken to a host that agrees on it by TLS."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
from dialogue import PATIENCE
from h2_peer import H2Peer
from secure import SecurePeer
from serving import http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certificates import Authority
    from serving import Proxy, Serving

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = "client >> GET / HTTP/1.1 | host: a |"
ANSWER = "client << HTTP/1.1 200 OK | content-length: 2 | | ok\\"


def cluster(protocol: str, authority: Authority) -> str:
    return f"protocol: {protocol}, tls: {{trusted_ca: {authority.path}, sni: example.org}}"


@asynccontextmanager
async def origin(proxy: Proxy, authority: Authority, *protocols: str) -> AsyncIterator[SecurePeer]:
    """Take the proxy's next connection, for one of these protocols."""
    context = authority.server(authority.issue("example.org"))
    context.set_alpn_protocols(list(protocols))
    with trio.fail_after(PATIENCE):
        peer = await proxy.origin.accept()
        secure = trio.SSLStream(trio.SocketStream(peer.sock), context, server_side=True)
        await secure.do_handshake()
        yield SecurePeer(secure)
    await trio.aclose_forcefully(secure)


async def answer_http2(peer: SecurePeer) -> None:
    served = await H2Peer.greet(peer, client=False)
    number, _ = await served.asked()
    await served.respond(number, b"ok", headers={"content-length": "2"})


async def answer_http1(peer: SecurePeer) -> None:
    assert (await peer.head()).startswith(b"GET / HTTP/1.1\r\n")
    await peer.say(OK)


@pytest.mark.parametrize("protocol", ["http2", "auto"])
async def test_a_host_that_speaks_http2(
    serving: Serving, authority: Authority, protocol: str
) -> None:
    async with serving(http(cluster=cluster(protocol, authority))) as proxy:
        await proxy.play(GET)
        async with origin(proxy, authority, "h2") as peer:
            assert peer.stream.selected_alpn_protocol() == "h2"
            await answer_http2(peer)
            await proxy.play(ANSWER)
        assert proxy.counter("cluster.app.upstream_cx_http2_total") == 1
        assert proxy.counter("cluster.app.upstream_cx_http1_total") == 0


async def test_a_host_that_does_not(serving: Serving, authority: Authority) -> None:
    async with serving(http(cluster=cluster("auto", authority))) as proxy:
        await proxy.play(GET)
        async with origin(proxy, authority, "http/1.1") as peer:
            await answer_http1(peer)
            await proxy.play(ANSWER)
            await proxy.play(GET)
            await answer_http1(peer)
            await proxy.play(ANSWER)
        assert proxy.counter("cluster.app.upstream_cx_total") == 1
        assert proxy.counter("cluster.app.upstream_cx_http1_total") == 1


async def test_a_host_that_changes_its_mind(serving: Serving, authority: Authority) -> None:
    async with serving(http(cluster=cluster("auto", authority))) as proxy:
        turns = ((answer_http2, "h2"), (answer_http1, "http/1.1")) * 2
        for number, (answer, protocol) in enumerate(turns):
            await proxy.play(GET)
            if number:
                async with origin(proxy, authority, protocol):
                    pass  # not what was expected: begin anew
            async with origin(proxy, authority, protocol) as peer:
                await answer(peer)
                await proxy.play(ANSWER)
            await proxy.until("cluster.app.upstream_cx_active")


async def test_all_who_wait_to_know_fail_with_the_one_who_asks(
    serving: Serving, authority: Authority
) -> None:
    yaml = http(cluster=cluster("auto", authority), endpoints="$refusing")
    async with serving(yaml) as proxy:
        clients = [await proxy.connect() for _ in range(3)]
        for client in clients:
            client.say_at_once(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        for client in clients:
            assert b"503" in await client.line()
