from __future__ import annotations

import errno
import resource
import socket
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import trio
from ends import turns

from trioproxy.reactor.accept import Acceptor
from trioproxy.reactor.running import open_reactor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trioproxy.reactor.accept import Accepted
    from trioproxy.reactor.epoll import Reactor


@contextmanager
def listening(reactor: Reactor) -> Iterator[Acceptor]:
    acceptor = Acceptor(reactor, socket.create_server(("127.0.0.1", 0), backlog=500))
    try:
        yield acceptor
    finally:
        acceptor.close()


async def batch(acceptor: Acceptor, limit: int) -> list[Accepted]:
    """Wait for somebody, then take who is there."""
    while True:
        await acceptor.wait()
        if taken := acceptor.take(limit):
            return taken


def knock(acceptor: Acceptor, count: int, clients: ExitStack) -> set[object]:
    """Connect `count` times; returns the addresses from which it came."""
    address = acceptor.transport.sock.getsockname()
    return {
        clients.enter_context(socket.create_connection(address)).getsockname() for _ in range(count)
    }


async def test_a_burst_comes_in_batches_within_the_limit(reactor: Reactor) -> None:
    """One edge tells of many; whoever took some goes on without another."""
    with listening(reactor) as acceptor, ExitStack() as clients, trio.fail_after(5):
        expected = knock(acceptor, 50, clients)
        sizes, seen = [], set()
        while len(seen) < 50:
            taken = await batch(acceptor, 20)
            sizes.append(len(taken))
            seen |= {address for _, address in taken}
            for sock, _ in taken:
                sock.close()
        assert sizes == [20, 20, 10]
        assert seen == expected


async def test_it_waits_where_nobody_comes(reactor: Reactor) -> None:
    with listening(reactor) as acceptor, ExitStack() as clients:
        batches = []

        async def accept() -> None:
            batches.append(await batch(acceptor, 20))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept)
            await turns()
            assert batches == []
            knock(acceptor, 1, clients)
        [[(sock, _)]] = batches
        sock.close()


async def test_suspended_and_resumed_it_loses_nobody(reactor: Reactor) -> None:
    """A cancelled wait has accepted nothing, and who came meanwhile is taken without an edge."""
    with listening(reactor) as acceptor, ExitStack() as clients, trio.fail_after(5):
        expected = knock(acceptor, 3, clients)
        with trio.CancelScope() as suspended:
            suspended.cancel()
            await batch(acceptor, 2)
        assert suspended.cancelled_caught
        await turns()
        taken = await batch(acceptor, 2) + await batch(acceptor, 2)
        assert {address for _, address in taken} == expected
        for sock, _ in taken:
            sock.close()


async def test_what_it_accepts_sends_without_delay(reactor: Reactor) -> None:
    with listening(reactor) as acceptor, ExitStack() as clients:
        knock(acceptor, 1, clients)
        [(sock, _)] = await batch(acceptor, 1)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        sock.close()


async def test_a_unix_socket_is_accepted_on(reactor: Reactor, tmp_path: Path) -> None:
    path = str(tmp_path / "listen")
    listen = socket.socket(socket.AF_UNIX)
    listen.bind(path)
    listen.listen()
    acceptor = Acceptor(reactor, listen)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        [(sock, address)] = await batch(acceptor, 10)
        assert address == ""
        sock.close()
    acceptor.close()


async def test_out_of_fds_it_backs_off_says_so_and_goes_on(reactor: Reactor) -> None:
    with listening(reactor) as acceptor, ExitStack() as clients, trio.fail_after(5):
        knock(acceptor, 2, clients)
        await turns()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        told: list[int | None] = []

        def relieve(error: OSError) -> None:
            told.append(error.errno)
            if len(told) == 2:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        acceptor._exhausted = relieve
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        begun = trio.current_time()
        try:
            taken = await batch(acceptor, 10)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert told == [errno.EMFILE, errno.EMFILE]
        assert trio.current_time() - begun >= 0.19
        assert len(taken) == 2
        for sock, _ in taken:
            sock.close()


class Scripted:
    """A listen socket whose accept does as it is told."""

    def __init__(self, sock: socket.socket, *script: int) -> None:
        self.sock, self.script = sock, list(script)
        self.close = sock.close

    def _accept(self) -> object:
        if self.script and (code := self.script.pop(0)):
            raise OSError(code, "scripted")
        return self.sock._accept()  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM])
async def test_a_connection_lost_in_the_queue_costs_nobody_else(
    reactor: Reactor, code: int
) -> None:
    with listening(reactor) as acceptor, ExitStack() as clients:
        knock(acceptor, 2, clients)
        acceptor.transport.sock = Scripted(acceptor.transport.sock, code, 0, code)  # type: ignore[assignment]
        taken = await batch(acceptor, 10)
        assert len(taken) == 2
        for sock, _ in taken:
            sock.close()


async def test_where_fds_run_out_midway_what_was_accepted_is_kept(reactor: Reactor) -> None:
    with listening(reactor) as acceptor, ExitStack() as clients:
        knock(acceptor, 2, clients)
        acceptor.transport.sock = Scripted(acceptor.transport.sock, 0, errno.ENFILE)  # type: ignore[assignment]
        taken = await batch(acceptor, 10) + await batch(acceptor, 10)
        assert len(taken) == 2
        for sock, _ in taken:
            sock.close()


async def test_another_error_is_raised(reactor: Reactor) -> None:
    with listening(reactor) as acceptor, ExitStack() as clients:
        knock(acceptor, 1, clients)
        acceptor.transport.sock = Scripted(acceptor.transport.sock, errno.EFAULT)  # type: ignore[assignment]
        with pytest.raises(OSError, check=lambda error: error.errno == errno.EFAULT):
            await batch(acceptor, 10)


async def test_in_two_reactors_a_suspended_one_swallows_nothing() -> None:
    """A listen socket shared by two workers: each is told of each arrival."""
    async with open_reactor() as one, open_reactor() as other:
        with listening(one) as acceptor, ExitStack() as clients, trio.fail_after(5):
            suspended = Acceptor(other, acceptor.transport.sock.dup())
            await turns()
            for _ in range(20):
                knock(acceptor, 1, clients)
                [(sock, _)] = await batch(acceptor, 10)
                sock.close()
            expected = knock(acceptor, 1, clients)
            [(sock, address)] = await batch(suspended, 10)
            assert {address} == expected
            sock.close()
            suspended.close()


async def test_nobody_comes_while_it_is_shut_and_whoever_comes_after_that_is_taken(
    reactor: Reactor,
) -> None:
    with listening(reactor) as acceptor, ExitStack() as clients, trio.fail_after(5):
        sock = acceptor.transport.sock
        address = sock.getsockname()
        sock.shutdown(socket.SHUT_RDWR)
        await turns()
        assert acceptor.take(1) == []
        assert acceptor.take(1) == []
        with suppress(OSError):  # it has let go of its port if that was any
            sock.bind(address)
        sock.listen()
        knock(acceptor, 1, clients)
        ((taken, _),) = await batch(acceptor, 1)
        taken.close()
