"""Connecting to hosts as their clusters say, to real servers."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest
import trio

from trioproxy.clusters.connecting import Connector, agreed, hang_up, reason
from trioproxy.clusters.probe import CheckFailed, Failure, Probe
from trioproxy.clusters.tcp_dialogue import TcpDialogue
from trioproxy.codec.proxy_protocol import V2_HEAD, read_header
from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.health_check import ActiveHealthCheck, Payload, TcpCheck
from trioproxy.config.tls import AltNameMatch, UpstreamTls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certificates import Authority, Pair

PING = TcpCheck(send=Payload("ping"), receive=(Payload("pong"),))
CHECK = ActiveHealthCheck(tcp=PING, timeout=60.0)


class Host:
    """Answers pings over TLS, behind `introduction` bytes that are kept in `introduced`."""

    def __init__(self, context: ssl.SSLContext, introduction: int = 0) -> None:
        self.context = context
        self.introduction = introduction
        self.introduced = b""
        self.names: list[str | None] = []
        context.sni_callback = lambda _tls, name, _context: self.names.append(name)

    async def serve(self, stream: trio.SocketStream) -> None:
        while len(self.introduced) < self.introduction:
            self.introduced += await stream.receive_some(self.introduction - len(self.introduced))
        secure = trio.SSLStream(stream, self.context, server_side=True, https_compatible=True)
        try:
            async for data in secure:
                assert data == b"ping"
                await secure.send_all(b"pong")
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(secure)


@asynccontextmanager
async def serving(host: Host) -> AsyncIterator[Address]:
    async with trio.open_nursery() as nursery:
        bind = partial(trio.serve_tcp, host.serve, 0, host="127.0.0.1")
        (listener,) = await nursery.start(bind)
        yield Address.parse(f"127.0.0.1:{listener.socket.getsockname()[1]}")
        nursery.cancel_scope.cancel()


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("app.example")


@pytest.fixture
def host(authority: Authority, pair: Pair) -> Host:
    return Host(authority.server(pair))


def cluster(address: Address, tls: UpstreamTls | None = None) -> Cluster:
    return Cluster("app", (Endpoint(address, hostname="app.example"),), tls=tls)


async def check(config: Cluster, name: str = "app.example", times: int = 1) -> None:
    """Check the one host of a cluster."""
    connect = partial(Connector(config).connect, name=name)
    probe = Probe(config.endpoints[0].address, CHECK, TcpDialogue(PING), connect)
    try:
        for _ in range(times):
            await probe.check()
    finally:
        probe.close()


async def failure(config: Cluster, name: str = "app.example") -> CheckFailed:
    with pytest.raises(CheckFailed) as failed:
        await check(config, name)
    assert failed.value.kind is Failure.NETWORK
    return failed.value


async def test_a_host_is_asked_by_its_name(host: Host, authority: Authority) -> None:
    async with serving(host) as address:
        await check(cluster(address, UpstreamTls(trusted_ca=authority.path)), times=3)
    assert host.names == ["app.example"]  # one connection


async def test_or_by_the_name_that_is_configured(host: Host, authority: Authority) -> None:
    tls = UpstreamTls(trusted_ca=authority.path, sni="app.example")
    async with serving(host) as address:
        await check(cluster(address, tls), name="")
    assert host.names == ["app.example"]


async def test_who_is_somebody_else_fails(host: Host, authority: Authority) -> None:
    tls = UpstreamTls(trusted_ca=authority.path)
    named = attrs.evolve(tls, match_subject_alt_names=(AltNameMatch(exact="other.example"),))
    async with serving(host) as address:
        assert "certificate verify failed" in str(await failure(cluster(address, tls), "b.example"))
        assert "certificate verify failed" in str(await failure(cluster(address, UpstreamTls())))
        unlike = await failure(cluster(address, named))
    assert str(unlike) == "TLS: the certificate is for somebody else"


async def test_a_name_that_can_be_nobodys(host: Host) -> None:
    async with serving(host) as address:
        assert str(await failure(cluster(address, UpstreamTls()), ".")).startswith("TLS: ")


async def test_a_host_may_ask_who_we_are(host: Host, authority: Authority) -> None:
    host.context.verify_mode = ssl.CERT_REQUIRED
    host.context.load_verify_locations(authority.path)
    own = authority.issue("proxy.example")
    tls = UpstreamTls(trusted_ca=authority.path)
    async with serving(host) as address:
        await failure(cluster(address, tls))
        known = attrs.evolve(tls, certificate=own.certificate, private_key=own.private_key)
        await check(cluster(address, known))


def test_what_goes_wrong_after_the_handshake_is_of_tls_too() -> None:
    """As in TLS 1.3, where a host says only then that it wants a certificate."""
    broken = trio.BrokenResourceError()
    broken.__cause__ = ssl.SSLError(1, "certificate required")
    assert reason(broken) == "TLS: certificate required"


async def test_who_does_not_speak_tls_fails(host: Host) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.send_all(b"+PONG\r\n")

    host.serve = answer  # type: ignore[method-assign]
    async with serving(host) as address:
        assert str(await failure(cluster(address, UpstreamTls()))).startswith("TLS: ")


async def test_new_files_count_from_the_next_connection_on(
    host: Host, authority: Authority, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """Files that will not do are told of once, and change nothing."""
    host.context.verify_mode = ssl.CERT_REQUIRED
    host.context.load_verify_locations(authority.path)
    own = authority.issue("proxy.example")
    tls = UpstreamTls(
        trusted_ca=authority.path, certificate=own.certificate, private_key=own.private_key
    )
    async with serving(host) as address:
        connector = Connector(cluster(address, tls))
        context = tls.keyring.context
        own.certificate.write_text("nothing")
        for _ in range(2):
            hang_up(await connector.connect(address, "app.example"))
        assert tls.keyring.context is context
        authority.issue("proxy.example", to=own)
        hang_up(await connector.connect(address, "app.example"))
    assert tls.keyring.context is not context
    assert caplog.text.count("checks go on with the certificates before") == 1


@pytest.mark.parametrize(("version", "size"), [("v1", len(b"PROXY UNKNOWN\r\n")), ("v2", V2_HEAD)])
async def test_the_proxy_protocol_comes_first(
    host: Host, authority: Authority, version: str, size: int
) -> None:
    """It speaks of nobody: the connection is the proxy's own."""
    host.introduction = size
    tls = UpstreamTls(trusted_ca=authority.path)
    async with serving(host) as address:
        await check(attrs.evolve(cluster(address, tls), proxy_protocol=version), times=2)
    header = read_header(host.introduced)
    assert header is not None
    assert (header.version, header.source, header.length) == (version, None, size)


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"]])
async def test_what_was_agreed_on(host: Host, authority: Authority, offered: list[str]) -> None:
    host.context.set_alpn_protocols(offered)
    tls = UpstreamTls(trusted_ca=authority.path, alpn=("h2", "http/1.1"))
    async with serving(host) as address:
        stream = await Connector(cluster(address, tls)).connect(address, "app.example")
        assert agreed(stream) == offered[0]
        hang_up(stream)
