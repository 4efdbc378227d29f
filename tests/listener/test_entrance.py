"""What connections pass before their filters: PROXY headers, ClientHellos, a choice."""

from __future__ import annotations

import ssl
import sys
from contextlib import AsyncExitStack
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import trio
from secure import GET, ask, secured, terms
from serving import http, tcp

from trioproxy.codec.proxy_protocol import Version, write_header

if TYPE_CHECKING:
    from certificates import Authority
    from serving import Serving

    from trioproxy.filters.api import Connection, Forward

    Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

NO_CONTENT = "HTTP/1.1 204 No Content |"
LISTENER = "listener.127.0.0.1_0"
DRAINS = ("quiet: 2s", "quiet: 3s")
ENDS = ("192.0.2.7", 4711), ("198.51.100.2", 443)


def chain(prefix: str, match: str, *, tls: str = "", body: str = "") -> str:
    """Return a chain that answers with its name, or goes to the cluster `app`."""
    routes = f"{{match: {{prefix: /}}, direct_response: {{status: 200, body: {body or prefix}}}}}"
    return f"""{{match: {{{match}}}, {tls + "," if tls else ""} filters: [
        {{http_connection_manager: {{stat_prefix: {prefix}, routes: [{routes}]}}}}]}}"""


def listener(*chains: str, more: str = "") -> str:
    """Return the YAML of a listener with these chains, and a cluster."""
    return f"""
listeners:
- name: edge
  address: 127.0.0.1:0
  {more}
  filter_chains: [{", ".join(chains)}]
clusters: [{{name: app, endpoints: [$origin]}}]
"""


async def test_names_have_chains_of_their_own(serving: Serving, authority: Authority) -> None:
    """Each with its certificate and its filters; plaintext goes elsewhere on the same port."""
    text = listener(
        chain("a", "server_names: [a.org]", tls=terms(authority.issue("a.org"))),
        chain("b", 'server_names: ["*.b.org"]', tls=terms(authority.issue("*.b.org"))),
        chain("plain", "transport_protocol: raw_buffer"),
    )
    async with serving(text) as proxy:
        for name, expected in (("a.org", b"a"), ("www.b.org", b"b")):
            async with secured(proxy, authority.client(), name) as client:
                assert (await ask(client)).endswith(b"\r\n\r\n" + expected)
        client = await proxy.connect()
        await client.say(GET)
        await client.head()
        assert await client.exactly(5) == b"plain"
        other = authority.client()
        with pytest.raises(trio.BrokenResourceError):
            async with secured(proxy, other, "other.net"):
                pass
        assert proxy.counter(f"{LISTENER}.no_filter_chain_match") == 1


async def test_each_chain_has_its_own_drain(serving: Serving) -> None:
    """The first one's until it is known which it is."""
    drains = [f"[{{tcp_proxy: {{stat_prefix: a, cluster: app, drain: {{{d}}}}}}}]" for d in DRAINS]
    text = listener(
        f"{{match: {{destination_port: 443}}, filters: {drains[0]}}}",
        f"{{match: {{destination_port: 444}}, filters: {drains[1]}}}",
        more="listener_filters: [{proxy_protocol: {}}]",
    )
    async with serving(text) as proxy:
        client = await proxy.connect()
        await proxy.quiet()
        edge = proxy.plane._listeners["edge"]
        [lifetime] = edge.living
        assert edge.policy_of(lifetime).quiet == 2
        await client.say(write_header("v2", (ENDS[0], ("198.51.100.2", 444))))
        await proxy.origin.accept()
        assert edge.policy_of(lifetime).quiet == 3
        assert lifetime.quiet == 3


async def test_tls_passes_through_to_whom_its_name_says(
    serving: Serving, authority: Authority
) -> None:
    """The ClientHello reaches the host whole, and TLS ends there."""
    relay = "{tcp_proxy: {stat_prefix: a, cluster: app}}"
    passing = f"{{match: {{server_names: [a.org]}}, filters: [{relay}]}}"
    context = authority.server(authority.issue("a.org"))
    async with serving(listener(passing, chain("rest", ""))) as proxy:

        async def serve() -> None:
            peer = await proxy.origin.accept()
            secure = trio.SSLStream(trio.SocketStream(peer.sock), context, server_side=True)
            assert await secure.receive_some() == GET
            await secure.send_all(b"through")
            await secure.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            async with secured(proxy, authority.client(), "a.org") as client:
                assert await ask(client, GET) == b"through"


async def test_a_hello_in_pieces(serving: Serving, authority: Authority) -> None:
    text = listener(chain("a", "server_names: [a.org]", tls=terms(authority.issue("a.org"))))
    sent, context = ssl.MemoryBIO(), authority.client()
    hello = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="a.org")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    async with serving(text) as proxy:
        client = await proxy.connect()
        for byte in sent.read():
            await client.say(bytes([byte]))
        assert (await client.exactly(3))[0] == 22  # a ServerHello


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
async def test_who_says_too_little_is_let_go(
    serving: Serving, authority: Authority, said: bytes
) -> None:
    text = listener(
        chain("a", "server_names: [a.org]", tls=terms(authority.issue("a.org"))),
        more="listener_filters_timeout: 1s",
    )
    async with serving(text) as proxy:
        silent = await proxy.connect()
        leaving = await proxy.connect()
        await leaving.say(said) if said else None
        leaving.finish()
        assert await leaving.rest() == b""
        assert proxy.counter(f"{LISTENER}.downstream_listener_filter_remote_close") == 1
        await silent.say(said) if said else None
        assert await silent.rest() == b""
        assert proxy.counter(f"{LISTENER}.downstream_pre_cx_timeout") == 1


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_client_behind_a_balancer(
    serving: Serving, authority: Authority, version: Version
) -> None:
    filters = "listener_filters: [{proxy_protocol: {}}]"
    text = http(listener=filters).replace("use_remote_address: false, ", "")
    async with serving(text) as proxy:
        client = await proxy.connect()
        header = write_header(version, ENDS)
        for piece in (header[:5], header[5:15], header[15:] + GET):
            await client.say(piece)
            await proxy.quiet()
        await proxy.play(f"""
            origin << GET / HTTP/1.1 | host: example.org | x-forwarded-for: 192.0.2.7 \
| x-forwarded-proto: http |
            origin >> {NO_CONTENT}
        """)
        assert await client.line() == b"HTTP/1.1 204 No Content\r\n"
        assert proxy.counter(f"proxy_proto.versions.{version}.found") == 1


async def test_tls_behind_a_header_and_the_source_chooses(
    serving: Serving, authority: Authority
) -> None:
    tls = terms(authority.issue("example.org"))
    text = listener(
        chain("near", "source_prefix_ranges: [192.0.2.0/24]", tls=tls),
        chain("far", "destination_port: 444", tls=tls),
        more="listener_filters: [{proxy_protocol: {}}]",
    )
    async with serving(text) as proxy:
        for header, expected in (
            (write_header("v2", ENDS), b"near"),
            (write_header("v1", (("203.0.113.1", 1), ("203.0.113.2", 444))), b"far"),
        ):
            async with secured(proxy, authority.client(), first=header) as client:
                assert (await ask(client)).endswith(expected)


@pytest.mark.parametrize("allowed", [False, True])
async def test_without_a_header(serving: Serving, allowed: bool) -> None:
    filters = f"{{proxy_protocol: {{allow_requests_without_proxy_protocol: {allowed}}}}}".lower()
    async with serving(http(listener=f"listener_filters: [{filters}]")) as proxy:
        await proxy.play("client >> GET / HTTP/1.1 | host: a |")
        if allowed:
            await proxy.play(f"""
                origin << GET / HTTP/1.1 | host: a |
                origin >> {NO_CONTENT}
                client << {NO_CONTENT}
            """)
            assert proxy.counter("proxy_proto.not_found_allowed") == 1
        else:
            client = await proxy.party("client")
            assert await client.rest() == b""
            assert proxy.counter("proxy_proto.not_found_disallowed") == 1


async def test_only_trusted_sources_are_believed(serving: Serving) -> None:
    """Of others a header is what it is: no request."""
    filters = "[{proxy_protocol: {trusted_sources: [10.0.0.0/8]}}]"
    async with serving(http(listener=f"listener_filters: {filters}")) as proxy:
        client = await proxy.connect()
        await client.say(write_header("v1", ENDS) + GET)
        assert await client.line() == b"HTTP/1.1 400 Bad Request\r\n"
        await proxy.play(
            f"client#2 >> GET / HTTP/1.1 | host: a | \n origin << GET / HTTP/1.1 \
| host: a | \n origin >> {NO_CONTENT} \n client#2 << {NO_CONTENT}"
        )


async def test_who_leaves_before_its_header_is_no_error(serving: Serving) -> None:
    """As a balancer does that looks whether anybody listens."""
    text = tcp().replace("  filters:", "  listener_filters: [{proxy_protocol: {}}]\n  filters:")
    async with serving(text) as proxy:
        client = await proxy.connect()
        client.finish()
        await client.rest()
        assert proxy.counter(f"{LISTENER}.downstream_listener_filter_remote_close") == 1
        assert proxy.counter(f"{LISTENER}.downstream_listener_filter_error") == 0


@pytest.mark.parametrize("entrance", ["proxy", "tls"])
async def test_what_the_entrance_may_take_does_not_bound_its_filters(
    serving: Serving, authority: Authority, monkeypatch: pytest.MonkeyPatch, entrance: str
) -> None:
    """A filter of one's own may be silent for as long as it likes."""

    async def serve(connection: Connection, _forward: Forward[Connection]) -> None:
        while data := await connection.receive():
            await connection.send(data)

    module = ModuleType("under_test")
    module.serve = serve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "under_test", module)
    more = "listener_filters: [{proxy_protocol: {allow_requests_without_proxy_protocol: true}}]"
    if entrance == "tls":
        more = terms(authority.issue("example.org"))
    text = f"""
listeners:
- name: edge
  address: 127.0.0.1:0
  {more}
  filters: [{{python: "under_test:serve"}}]
"""
    async with serving(text) as proxy, AsyncExitStack() as stack:
        if entrance == "tls":
            client: Stream = await stack.enter_async_context(secured(proxy, authority.client()))
        else:
            client = trio.SocketStream((await proxy.connect()).sock)
        await client.send_all(b"hello")
        assert await client.receive_some() == b"hello"
        (connection,) = proxy.plane.report()["connections"]  # type: ignore[misc, attr-defined]
        assert (connection["stands"], connection["due"]) == ("life", None)


async def test_a_broken_header_is_counted(serving: Serving) -> None:
    text = tcp().replace("  filters:", "  listener_filters: [{proxy_protocol: {}}]\n  filters:")
    async with serving(text) as proxy:
        client = await proxy.connect()
        await client.say(b"PROXY TCP4 nobody\r\n")
        await client.rest()
        assert proxy.counter("proxy_proto.downstream_cx_proxy_proto_error") == 1
        assert proxy.counter(f"{LISTENER}.downstream_listener_filter_error") == 1
