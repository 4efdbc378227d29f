"""Connections that move, of listeners with several chains or with listener filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from secure import secured, terms
from serving import http
from test_adoption import LISTENER, TALK, channel, drain, generations, move

from trioproxy.codec.proxy_protocol import write_header

if TYPE_CHECKING:
    from certificates import Authority
    from serving import Proxy, Serving

ENDS = ("192.0.2.7", 4711), ("198.51.100.2", 443)
BEHIND = "listener_filters: [{proxy_protocol: {}}]"
ANSWER = "HTTP/1.1 204 No Content |"
RELAY = "filters: [{tcp_proxy: {stat_prefix: a, cluster: app}}]"


def listener(rest: str, endpoints: str) -> str:
    return f"""
listeners: [{{name: db, address: 127.0.0.1:0, {rest}}}]
clusters: [{{name: app, endpoints: [{endpoints}]}}]
"""


def forwarding(*, endpoints: str = "$origin") -> str:
    text = http(listener=BEHIND, endpoints=endpoints)
    return text.replace("use_remote_address: false, ", "")


def behind(*, endpoints: str = "$origin") -> str:
    return listener(f"{BEHIND}, {RELAY}", endpoints)


def by_name(name: str, *, endpoints: str = "$origin") -> str:
    """TLS that passes through to whom its name says."""
    return listener(f"filter_chains: [{{match: {{server_names: [{name}]}}, {RELAY}}}]", endpoints)


def a_org(*, endpoints: str = "$origin") -> str:
    return by_name("a.org", endpoints=endpoints)


def b_org(*, endpoints: str = "$origin") -> str:
    return by_name("b.org", endpoints=endpoints)


async def test_who_was_told_of_is_still_the_client(serving: Serving) -> None:
    """A52: an idle connection behind a balancer moves with what the balancer said of it."""
    exchange = f"""
        client >> GET / HTTP/1.1 | host: a |
        origin << GET / HTTP/1.1 | host: a | x-forwarded-for: 192.0.2.7 | x-forwarded-proto: http |
        origin >> {ANSWER}
        client << {ANSWER}
    """
    async with generations(serving, forwarding) as (old, new):
        client = await old.party("client")
        await client.say(write_header("v2", ENDS))
        await old.play(exchange)
        await move(old, new)
        await old.play(exchange.replace("origin", "origin#2"))
        assert new.counted(LISTENER)["downstream_cx_adopted"] == 1


async def test_a_tcp_session_behind_a_balancer_goes_on(serving: Serving) -> None:
    """A50."""
    async with generations(serving, behind) as (old, new):
        client = await old.party("client")
        await client.say(write_header("v1", ENDS))
        await old.play(TALK)
        await move(old, new)
        await old.play(TALK)
        assert new.counted(LISTENER)["downstream_cx_adopted"] == 1


async def talk(old: Proxy, new: Proxy, authority: Authority, *, moves: bool) -> None:
    """Speak TLS with the upstream through the proxy, before and after the connections move."""
    context = authority.server(authority.issue("a.org"))

    async def serve() -> None:
        peer = await old.origin.accept()
        stream = trio.SocketStream(peer.sock)
        secure = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        async for piece in secure:
            await secure.send_all(piece)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with secured(old, authority.client(), "a.org") as client:
            for number in range(2):
                await client.send_all(b"hello")
                assert await client.receive_some() == b"hello"
                if moves and not number:
                    await move(old, new)
                elif not number:
                    new.plane.adopt(channel(old))
                    drain(old)
                    await old.quiet()
            assert new.plane.active == moves
            assert old.plane.active == (not moves)
        nursery.cancel_scope.cancel()


async def test_tls_that_passes_through_moves(serving: Serving, authority: Authority) -> None:
    """A50: what is opaque to us goes on in the chain of the same match."""
    async with generations(serving, a_org) as (old, new):
        await talk(old, new, authority, moves=True)


async def test_a_chain_that_is_no_more_takes_nobody(serving: Serving, authority: Authority) -> None:
    async with generations(serving, a_org, b_org) as (old, new):
        await talk(old, new, authority, moves=False)


async def test_tls_that_ends_here_stays(serving: Serving, authority: Authority) -> None:
    """A53: it cannot leave its process."""
    tls = terms(authority.issue("a.org"))

    def terminating(*, endpoints: str = "$origin") -> str:
        return http(routes="{match: {prefix: /}, direct_response: {status: 204}}", listener=tls)

    async with serving(terminating()) as old, secured(old, authority.client(), "a.org") as client:
        await client.send_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await client.receive_some()
        with channel(old):
            drain(old)
            await old.quiet()
        assert old.plane.active == 1
        (listener,) = old.plane.report()["listeners"].values()
        assert listener["moving"] == 0
