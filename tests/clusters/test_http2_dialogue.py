"""Health checks over HTTP/2, answered by another implementation of it."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from dialogue import Peer
from h2_peer import H2Peer
from secure import SecurePeer

from trioproxy.clusters.connecting import Connector
from trioproxy.clusters.http2_dialogue import AgreedDialogue, Http2Dialogue
from trioproxy.clusters.http2_line import MOST
from trioproxy.clusters.http_dialogue import USER_AGENT
from trioproxy.clusters.probe import CheckFailed, Failure, HungUp, Probe
from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.health_check import ActiveHealthCheck, HttpCheck, StatusRange
from trioproxy.config.tls import UpstreamTls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from certificates import Authority

    Serve = Callable[[trio.SocketStream], Awaitable[None]]

UP = HttpCheck("/up")
PLAIN = Cluster("app", (Endpoint(Address.parse("127.0.0.1:1")),), protocol="http2")


@asynccontextmanager
async def probing(
    serve: Serve, cluster: Cluster = PLAIN, http: HttpCheck = UP
) -> AsyncIterator[Probe]:
    """Check whoever serves so."""
    check = ActiveHealthCheck(http=http, timeout=10.0)
    kind = AgreedDialogue if cluster.protocol == "auto" else Http2Dialogue
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        address = Address.parse(f"127.0.0.1:{listener.socket.getsockname()[1]}")
        connect = Connector(cluster).connect
        probe = Probe(address, check, kind(http, cluster), connect)
        yield probe
        probe.close()
        nursery.cancel_scope.cancel()


class Host:
    """Answers in turn, in HTTP/2; `connections` counts, `asked` has the heads."""

    def __init__(self, *answers: Callable[[H2Peer, int], Awaitable[None]]) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.asked: list[dict[str, str]] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        peer = await H2Peer.greet(Peer(stream.socket), client=False)
        while self.answers:
            try:
                number, heard = await peer.asked()
            except (AssertionError, OSError):
                return  # closed, there or here
            self.asked.append(heard.headers)
            await self.answers.pop(0)(peer, number)


async def well(peer: H2Peer, number: int) -> None:
    await peer.respond(number, b"ok", headers={"content-length": "2"})


async def busy(peer: H2Peer, number: int) -> None:
    await peer.respond(number, status="429")


async def ill(peer: H2Peer, number: int) -> None:
    await peer.respond(number, status="500")


async def leave(peer: H2Peer, number: int) -> None:
    """Say that it goes, and answer; the connection stays."""
    peer.h2.close_connection()
    state = peer.h2.state_machine
    state.state = type(state.state).SERVER_OPEN
    await well(peer, number)


async def refuse(peer: H2Peer, number: int) -> None:
    await peer.reset(number, 7)


async def reset(peer: H2Peer, number: int) -> None:
    await peer.reset(number, 2)


async def close(peer: H2Peer, number: int) -> None:
    peer.peer.sock.shutdown(socket.SHUT_WR)


async def lie(peer: H2Peer, number: int) -> None:
    await peer.peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def gush(peer: H2Peer, number: int) -> None:
    await peer.respond(number, b"", ended=False)
    with suppress(AssertionError, OSError):  # it is closed when it was enough
        await peer.data(number, b"x" * (3 * MOST))


async def failure(host: Host, http: HttpCheck = UP) -> CheckFailed:
    async with probing(host.serve, http=http) as probe:
        try:
            await probe.check()
        except CheckFailed as failed:
            return failed
    raise AssertionError("passed")


async def test_a_host_is_asked_again_over_the_same_connection() -> None:
    host = Host(well, well, well)
    http = attrs.evolve(UP, headers={"X-A": "b"}, host="app.example")
    async with probing(host.serve, http=http) as probe:
        for _ in range(3):
            await probe.check()
    assert host.connections == 1
    assert host.asked[2] == {
        ":method": "GET",
        ":path": "/up",
        ":scheme": "http",
        ":authority": "app.example",
        "user-agent": USER_AGENT,
        "x-a": "b",
        "taken": "yes",
    }


async def test_statuses() -> None:
    failed = await failure(Host(ill))
    assert (str(failed), failed.kind, failed.decisive) == ("status 500", Failure.ACTIVE, True)
    failed = await failure(Host(busy), HttpCheck("/", retriable_statuses=(StatusRange(429),)))
    assert (str(failed), failed.decisive) == ("status 429", False)


@pytest.mark.parametrize("parting", [leave, refuse, close])
async def test_a_host_that_parts_with_a_connection_is_asked_over_another(
    parting: Callable[[H2Peer, int], Awaitable[None]],
) -> None:
    host = Host(well, parting, well, well)
    async with probing(host.serve) as probe:
        for _ in range(3):
            await probe.check()
    assert host.connections == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refuse, "the request was refused"),
        (reset, "the request was reset with error 2"),
        (close, "closed before it answered"),
        (lie, "not HTTP/2: "),
    ],
)
async def test_no_answer(answer: Callable[[H2Peer, int], Awaitable[None]], reason: str) -> None:
    failed = await failure(Host(answer))
    assert failed.kind is Failure.NETWORK
    assert str(failed).startswith(reason)
    assert isinstance(failed, HungUp) == (answer in (refuse, close))


async def test_a_large_body_is_not_worth_the_connection() -> None:
    host = Host(gush, well)
    async with probing(host.serve) as probe:
        await probe.check()
        await probe.check()
    assert host.connections == 2


async def test_what_cannot_be_sent_is_a_failure() -> None:
    failed = await failure(Host(well), HttpCheck("/", host="a/b"))
    assert str(failed) == "cannot be sent: not a valid host"


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
@pytest.mark.parametrize("wanted", ["auto", "http2"])
async def test_what_is_spoken_is_what_was_agreed_on(
    authority: Authority, protocol: str, wanted: str
) -> None:
    context = authority.server(authority.issue("127.0.0.1"))
    context.set_alpn_protocols([protocol])
    tls = UpstreamTls(trusted_ca=authority.path)
    offered = ("h2", "http/1.1")
    cluster = attrs.evolve(PLAIN, protocol=wanted, tls=attrs.evolve(tls, alpn=offered))

    async def serve(stream: trio.SocketStream) -> None:
        secure = trio.SSLStream(stream, context, server_side=True)
        await secure.do_handshake()
        if protocol == "h2":
            peer = await H2Peer.greet(SecurePeer(secure), client=False)
            number, heard = await peer.asked()
            assert heard.headers[":scheme"] == "https"
            await well(peer, number)
        elif await secure.receive_some():
            await secure.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with probing(serve, cluster) as probe:
        if (protocol, wanted) == ("http/1.1", "http2"):
            with pytest.raises(CheckFailed, match=r"agreed on HTTP/1\.1"):
                await probe.check()
        else:
            await probe.check()
