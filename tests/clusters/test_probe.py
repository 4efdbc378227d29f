"""Probing real sockets: connections that are kept, lost, refused, reset, or never answered."""

from __future__ import annotations

import socket
import struct
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from upstreams import Deaf, refusing

from trioproxy.clusters.probe import CheckFailed, Failure, Probe
from trioproxy.clusters.tcp_dialogue import TcpDialogue
from trioproxy.config.address import Address
from trioproxy.config.health_check import ActiveHealthCheck, Payload, TcpCheck

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PING = TcpCheck(send=Payload("ping"), receive=(Payload("pong"),))
CHECK = ActiveHealthCheck(tcp=PING, timeout=60.0)
RESET = struct.pack("ii", 1, 0)


def probe(address: str, check: ActiveHealthCheck = CHECK) -> closing[Probe]:
    assert check.tcp is not None
    return closing(Probe(Address.parse(address), check, TcpDialogue(check.tcp)))


class Host:
    """Answers pings; closes a connection after `patience` of them, by a reset if `resets`."""

    def __init__(self) -> None:
        self.connections = 0
        self.patience = 1000
        self.resets = False

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        for _ in range(self.patience):
            if not await stream.receive_some():
                return
            await stream.send_all(b"pong")
        if self.resets:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        stream.socket.close()


@asynccontextmanager
async def serving(host: Host) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        bind = partial(trio.serve_tcp, host.serve, 0, host="127.0.0.1")
        (listener,) = await nursery.start(bind)
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@pytest.fixture
def host() -> Host:
    return Host()


async def failure(address: str, check: ActiveHealthCheck = CHECK) -> CheckFailed:
    with probe(address, check) as probing, pytest.raises(CheckFailed) as failed:
        await probing.check()
    return failed.value


async def test_a_connection_is_kept(host: Host) -> None:
    async with serving(host) as address:
        with probe(address) as probing:
            for _ in range(3):
                await probing.check()
        assert host.connections == 1


async def test_a_connection_is_not_kept_where_that_is_not_wanted(host: Host) -> None:
    async with serving(host) as address:
        with probe(address, attrs.evolve(CHECK, reuse_connection=False)) as probing:
            for _ in range(3):
                await probing.check()
        assert host.connections == 3


@pytest.mark.parametrize("resets", [False, True])
async def test_a_kept_connection_that_was_closed_says_nothing(host: Host, resets: bool) -> None:
    host.patience, host.resets = 1, resets
    async with serving(host) as address:
        with probe(address) as probing:
            for _ in range(5):
                await probing.check()
        assert host.connections == 5


@pytest.mark.parametrize(
    ("resets", "reason"), [(False, "closed before it answered"), (True, "connection reset by peer")]
)
async def test_a_new_one_that_is_closed_says_enough(host: Host, resets: bool, reason: str) -> None:
    async def cut(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        if resets:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        stream.socket.close()

    host.serve = cut  # type: ignore[method-assign]
    async with serving(host) as address:
        failed = await failure(address)
    assert failed.kind is Failure.NETWORK
    assert str(failed) == reason


async def test_nobody_listens() -> None:
    failed = await failure(refusing())
    assert failed.kind is Failure.NETWORK
    assert str(failed) == "connection refused"


async def test_nobody_listens_at_a_path(tmp_path: Path) -> None:
    assert str(await failure(f"unix:{tmp_path}/no.sock")) == "no such file or directory"


async def test_nobody_answers() -> None:
    hasty, deaf = attrs.evolve(CHECK, timeout=0.05), Deaf()
    with closing(deaf):
        failed = await failure(deaf.name, hasty)
    assert failed.kind is Failure.NETWORK_TIMEOUT
    assert str(failed) == "no answer in 0.05 s"


async def test_a_host_that_answered_once_may_be_silent_later(host: Host) -> None:
    async def answer_once(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"pong")
        await trio.sleep_forever()

    host.serve = answer_once  # type: ignore[method-assign]
    async with serving(host) as address:
        with probe(address, attrs.evolve(CHECK, timeout=0.05)) as probing:
            await probing.check()
            with pytest.raises(CheckFailed) as failed:
                await probing.check()
    assert failed.value.kind is Failure.NETWORK_TIMEOUT


async def test_another_port_may_answer_for_a_host(host: Host) -> None:
    async with serving(host) as address:
        elsewhere = attrs.evolve(CHECK, alt_port=Address.parse(address).port)
        with probe("127.0.0.1:1", elsewhere) as probing:
            await probing.check()


async def test_a_path_has_no_other_port(host: Host, tmp_path: Path) -> None:
    path = f"{tmp_path}/host.sock"
    with trio.socket.socket(socket.AF_UNIX) as sock:
        await sock.bind(path)
        sock.listen(1)
        async with trio.open_nursery() as nursery:
            listener = trio.SocketListener(sock)
            nursery.start_soon(trio.serve_listeners, host.serve, [listener])
            with probe(f"unix:{path}", attrs.evolve(CHECK, alt_port=1)) as probing:
                await probing.check()
            nursery.cancel_scope.cancel()
