"""TLS to the hosts of a cluster: whom it trusts, what it says of itself, and what it resumes."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import trio
from dialogue import PATIENCE
from serving import http, tcp

from trioproxy.codec.proxy_protocol import write_header

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certificates import Authority
    from secure import Stream
    from serving import Proxy, Serving

    from trioproxy.codec.proxy_protocol import Version

GET = "GET / HTTP/1.1 | host: a |"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
SSL = "cluster.app.ssl"


@asynccontextmanager
async def origin(proxy: Proxy, context: ssl.SSLContext) -> AsyncIterator[Stream]:
    """Take the proxy's next connection and shake hands."""
    with trio.fail_after(PATIENCE):
        peer = await proxy.origin.accept()
        secure = trio.SSLStream(trio.SocketStream(peer.sock), context, server_side=True)
        await secure.do_handshake()
        yield secure


async def answer(secure: Stream) -> None:
    """Hear a request, and answer it."""
    assert (await secure.receive_some()).endswith(b"\r\n\r\n")
    await secure.send_all(NO_CONTENT)


async def failure(proxy: Proxy, context: ssl.SSLContext) -> str:
    """Return what the client is told where no handshake comes about."""
    await proxy.play(f"client >> {GET}")
    with suppress(trio.BrokenResourceError):
        async with origin(proxy, context) as secure:
            await secure.receive_some()
    proxy.origin.peers[-1].close()
    client = await proxy.party("client")
    assert b" 503 " in await client.line()
    await client.head()
    return bytes(client.heard).decode().strip()


async def test_a_connection_serves_many_requests(serving: Serving, authority: Authority) -> None:
    context = authority.server(authority.issue("example.org"))
    tls = f"tls: {{sni: example.org, trusted_ca: {authority.path}}}"
    asked: list[str] = []
    context.sni_callback = lambda _ssl, name, _context: asked.append(name)
    async with serving(http(cluster=tls)) as proxy:
        await proxy.play(f"client >> {GET}")
        async with origin(proxy, context) as secure:
            for _ in range(3):
                await answer(secure)
                await proxy.play(f"client << HTTP/1.1 204 No Content | \n client >> {GET}")
            await answer(secure)
            await proxy.play("client << HTTP/1.1 204 No Content |")
        assert asked == ["example.org"]
        assert proxy.counter(f"{SSL}.handshake") == 1
        assert len(proxy.cluster().hosts[0].idle) == 1


async def test_by_its_address_where_there_is_no_name(
    serving: Serving, authority: Authority
) -> None:
    context = authority.server(authority.issue("127.0.0.1"))
    async with serving(http(cluster=f"tls: {{trusted_ca: {authority.path}}}")) as proxy:
        await proxy.play(f"client >> {GET}")
        async with origin(proxy, context) as secure:
            await answer(secure)
            await proxy.play("client << HTTP/1.1 204 No Content |")


@pytest.mark.parametrize(
    ("names", "terms", "reason", "counter"),
    [
        (("other.net",), "sni: example.org", "hostname mismatch", "fail_verify_error"),
        (
            ("example.org",),
            "match_subject_alt_names: [{suffix: .example.org}]",
            "for somebody else",
            "fail_verify_san",
        ),
        (
            ("example.org",),
            "sni: example.org, minimum_version: TLSv1.3",
            "unexpected eof while reading",
            "connection_error",
        ),
    ],
)
async def test_a_failure_names_its_reason(
    serving: Serving, authority: Authority, names: tuple[str], terms: str, reason: str, counter: str
) -> None:
    context = authority.server(authority.issue(*names))
    if "TLSv1.3" in terms:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    tls = f"tls: {{trusted_ca: {authority.path}, {terms}}}"
    async with serving(http(cluster=tls)) as proxy:
        told = await failure(proxy, context)
        assert reason in told.lower()
        assert proxy.counter(f"{SSL}.{counter}") == 1
        assert proxy.counter("cluster.app.upstream_cx_connect_fail") == 1
    assert proxy.log[0]["flags"] == "UF"
    assert reason in str(proxy.log[0]["failure"]).lower()


async def test_a_name_that_is_none(serving: Serving) -> None:
    async with serving(http(cluster="tls: {sni: .example.org}")) as proxy:
        client = await proxy.connect()
        await client.say(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b" 503 " in await client.line()
        await client.head()
        assert await client.exactly(5) == b"TLS: "
        await proxy.until("cluster.app.upstream_cx_active")


async def test_verification_is_on_by_default(serving: Serving, authority: Authority) -> None:
    context = authority.server(authority.issue("example.org"))
    async with serving(http(cluster="tls: {sni: example.org}")) as proxy:
        told = await failure(proxy, context)
        assert "unable to get local issuer certificate" in told
    async with serving(http(cluster="tls: {verify_server: false}")) as proxy:
        await proxy.play(f"client >> {GET}")
        async with origin(proxy, context) as secure:
            await answer(secure)
            await proxy.play("client << HTTP/1.1 204 No Content |")


async def test_it_shows_a_certificate_and_agrees_on_a_protocol(
    serving: Serving, authority: Authority
) -> None:
    context = authority.server(authority.issue("example.org"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    context.set_alpn_protocols(["http/1.1"])
    pair = authority.issue("proxy.example.org")
    tls = (
        f"tls: {{sni: example.org, trusted_ca: {authority.path}, alpn: [http/1.1],"
        f" certificate: {pair.certificate}, private_key: {pair.private_key}}}"
    )
    async with serving(http(cluster=tls)) as proxy:
        await proxy.play(f"client >> {GET}")
        async with origin(proxy, context) as secure:
            await answer(secure)
            assert secure.getpeercert()["subjectAltName"] == (("DNS", "proxy.example.org"),)
            assert secure.selected_alpn_protocol() == "http/1.1"
            await proxy.play("client << HTTP/1.1 204 No Content |")


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_a_session_is_resumed(serving: Serving, authority: Authority, version: str) -> None:
    context = authority.server(authority.issue("example.org"))
    tls = f"tls: {{sni: example.org, trusted_ca: {authority.path}, maximum_version: {version}}}"
    async with serving(http(cluster=tls)) as proxy:
        reused = []
        for number in range(3):
            await proxy.play(f"client#{number} >> {GET}")
            async with origin(proxy, context) as secure:
                reused.append(secure.session_reused)
                await answer(secure)
                await proxy.play(f"client#{number} << HTTP/1.1 204 No Content |")
                await secure.aclose()
            await proxy.until("cluster.app.upstream_cx_active")
        assert reused == [False, True, True]
        assert proxy.counter(f"{SSL}.session_reused") == 2


async def test_bytes_flow_to_tls_and_back(serving: Serving, authority: Authority) -> None:
    context = authority.server(authority.issue("example.org"))
    text = tcp(cluster=f"tls: {{sni: example.org, trusted_ca: {authority.path}}}")
    async with serving(text) as proxy:
        await proxy.play("client >> hello\\")
        async with origin(proxy, context) as secure:
            assert await secure.receive_some() == b"hello"
            await secure.send_all(b"and to you")
            await proxy.play("client << and to you\\ \n client >> (fin)")
            assert await secure.receive_some() == b""
            await secure.aclose()
            await proxy.play("client << (fin)")


async def test_who_does_not_shake_hands_in_time(serving: Serving, authority: Authority) -> None:
    cluster = f"connect_timeout: 100ms, tls: {{sni: a, trusted_ca: {authority.path}}}"
    async with serving(http(cluster=cluster)) as proxy:
        await proxy.play(f"client >> {GET}")
        await proxy.origin.accept()
        await proxy.play(r"client << HTTP/1.1 503 ... | ... | ... | | connect timeout\n\ ")
        assert proxy.counter("cluster.app.upstream_cx_connect_timeout") == 1


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_whose_connection_it_is_comes_before_tls(
    serving: Serving, authority: Authority, version: Version
) -> None:
    """An HTTP connection, too, is then one client's alone."""
    context = authority.server(authority.issue("example.org"))
    tls = f"proxy_protocol: {version}, tls: {{sni: example.org, trusted_ca: {authority.path}}}"
    async with serving(http(cluster=tls)) as proxy:
        client = await proxy.party("client")
        ends = client.sock.getsockname(), client.sock.getpeername()
        for _ in range(2):
            await proxy.play(f"client >> {GET}")
            peer = await proxy.origin.accept()
            header = write_header(version, ends)
            assert await peer.sock.recv(len(header)) == header
            secure = trio.SSLStream(trio.SocketStream(peer.sock), context, server_side=True)
            await answer(secure)
            await proxy.play("client << HTTP/1.1 204 No Content |")
            assert await secure.receive_some() == b""


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_whose_connection_it_is_in_plaintext(serving: Serving, version: Version) -> None:
    async with serving(tcp(cluster=f"proxy_protocol: {version}")) as proxy:
        client = await proxy.party("client")
        header = write_header(version, (client.sock.getsockname(), client.sock.getpeername()))
        peer = await proxy.origin.accept()
        assert await peer.exactly(len(header)) == header
        await client.say(b"hello")
        assert await peer.exactly(5) == b"hello"
