from __future__ import annotations

import array
import os
import socket

import pytest
import trio
from ends import PAIRS, one, reset, stream, stuff, tcp_pair, turns

from trioproxy.reactor.epoll import GONE, HANGUP, IN, OUT, Reactor
from trioproxy.reactor.transport import RECEIVE_SIZE, TURNS_BEFORE_YIELD, Transport


async def test_what_was_sent_is_received_then_the_end(reactor: Reactor, kind: str) -> None:
    with one(reactor, kind) as (peer, transport):
        peer.sendall(b"hello")
        assert await transport.receive() == b"hello"
        peer.close()
        assert await transport.receive() == b""
        assert await transport.receive() == b""


@pytest.mark.parametrize("moment", ["before it registers", "before it reads", "while it waits"])
async def test_the_end_on_the_edge_of_the_last_data_is_seen(
    reactor: Reactor, kind: str, moment: str
) -> None:
    """A short read is no proof that nothing is left where the end came with the data."""
    peer, ours = PAIRS[kind]()
    received: list[bytes] = []

    async def read() -> None:
        transport = Transport(reactor, ours)
        if moment == "before it reads":
            last_words()
            await turns()
        while data := await transport.receive():
            received.append(data)
        transport.close()

    def last_words() -> None:
        peer.sendall(b"last words")
        peer.close()

    if moment == "before it registers":
        last_words()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await turns()
            if moment == "while it waits":
                last_words()
    assert received == [b"last words"]


async def test_a_short_read_spares_the_second_one(reactor: Reactor) -> None:
    with one(reactor) as (peer, transport):
        peer.sendall(b"hello")
        await transport.receive()
        assert not transport.ready & IN


async def test_urgent_data_does_no_harm(reactor: Reactor) -> None:
    """A read stops at the urgent mark, short, with more behind it: no edge would tell of that."""
    with one(reactor) as (peer, transport):
        peer.send(b"before")
        peer.send(b"!", socket.MSG_OOB)
        peer.send(b"after")
        await turns()
        received = b""
        with trio.fail_after(5):
            while len(received) < len(b"beforeafter"):
                received += await transport.receive()
        assert received == b"beforeafter"
        assert not transport.hangup
        peer.sendall(b"more")
        assert await transport.receive() == b"more"


async def test_passed_file_descriptors_do_no_harm(reactor: Reactor) -> None:
    """A read of a Unix socket stops short behind a message that carried descriptors."""
    with one(reactor, "unix") as (peer, transport):
        null = os.open(os.devnull, os.O_RDONLY)
        rights = array.array("i", [null])
        peer.sendmsg([b"with"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        peer.send(b"without")
        os.close(null)
        await turns()
        received = b""
        with trio.fail_after(5):
            while len(received) < len(b"withwithout"):
                received += await transport.receive()
        assert received == b"withwithout"


async def test_half_closed_by_the_peer_we_still_send(reactor: Reactor, kind: str) -> None:
    with one(reactor, kind) as (peer, transport):
        peer.shutdown(socket.SHUT_WR)
        assert await transport.receive() == b""
        assert transport.hangup
        await transport.send(b"still here")
        assert peer.recv(100) == b"still here"


async def test_half_closed_by_us_we_still_receive(reactor: Reactor, kind: str) -> None:
    with one(reactor, kind) as (peer, transport):
        transport.shutdown_write()
        assert peer.recv(100) == b""
        peer.sendall(b"still here")
        assert await transport.receive() == b"still here"


async def test_half_close_is_quiet_where_nobody_is_left(reactor: Reactor) -> None:
    with one(reactor) as (peer, transport):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        peer.close()
        with pytest.raises(ConnectionResetError):
            await transport.receive()
        transport.shutdown_write()
        assert transport.hangup


async def test_a_large_send_waits_for_its_reader(reactor: Reactor, kind: str) -> None:
    data = stuff(1_000_000)
    with one(reactor, kind, 100_000) as (peer, transport):
        sent = trio.Event()

        async def send() -> None:
            await transport.send(data)
            sent.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await turns()
            assert not sent.is_set()
            assert not transport.ready & OUT
            received = bytearray()
            far = stream(peer)
            while len(received) < len(data):
                received += await far.receive_some(100_000)
            await sent.wait()
        assert received == data


async def test_a_send_to_a_peer_that_reset_raises(reactor: Reactor) -> None:
    with one(reactor) as (peer, transport):
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                with pytest.raises(OSError, match=r"reset|Broken"):
                    await transport.send(bytes(10_000_000))

            nursery.start_soon(send)
            await turns()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            peer.close()
        assert transport.hangup


async def test_a_cancelled_receive_loses_nothing_and_leaves_nothing(reactor: Reactor) -> None:
    with one(reactor) as (peer, transport):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(transport.receive)
                await turns()
                assert transport.waiter is not None
                scope.cancel()
        assert transport.waiter is None
        peer.sendall(b"hello")
        assert await transport.receive() == b"hello"


async def test_whoever_is_always_served_gives_way(reactor: Reactor) -> None:
    """Reading from a peer that is always ahead, a task lets others run, and loses no byte by it."""
    with one(reactor) as (peer, transport):
        peer.setblocking(False)
        sent = 0
        data = stuff(RECEIVE_SIZE * 4 * TURNS_BEFORE_YIELD)
        size = RECEIVE_SIZE // 16
        while sent < size * TURNS_BEFORE_YIELD * 2:
            sent += peer.send(data[sent : sent + size])
        others = 0

        async def other() -> None:
            nonlocal others
            while True:
                others += 1
                await trio.lowlevel.checkpoint()

        await turns()
        received = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            transport.patience = TURNS_BEFORE_YIELD
            while len(received) < sent:
                with trio.move_on_after(0):
                    received += await transport.receive(size)
            nursery.cancel_scope.cancel()
        assert others
        assert received == data[:sent]


async def test_one_task_reads_while_another_writes(reactor: Reactor, kind: str) -> None:
    data = stuff(1_000_000)
    with one(reactor, kind, 100_000) as (peer, transport):
        read: list[bytes] = []

        async def receive() -> None:
            while piece := await transport.receive():
                read.append(piece)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.send, data)
            nursery.start_soon(receive)
            await turns()
            assert transport.waiter is not None
            assert transport.writer is not None
            peer.send(b"in between")
            await turns()
            assert read == [b"in between"]
            assert transport.writer is not None
            far = stream(peer)
            got = bytearray()
            while len(got) < len(data):
                got += await far.receive_some(100_000)
            await far.send_eof()
        assert got == data


@pytest.mark.parametrize("which", ["reader", "writer"])
async def test_of_two_that_wait_one_is_cancelled_and_the_other_stays(
    reactor: Reactor, which: str
) -> None:
    with one(reactor) as (peer, transport):
        transport.ready = 0
        await turns()
        transport.ready = 0
        scopes = {"reader": trio.CancelScope(), "writer": trio.CancelScope()}

        async def wait(name: str, interest: int) -> None:
            with scopes[name]:
                await transport.park(interest)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, "reader", IN)
            nursery.start_soon(wait, "writer", OUT)
            await turns()
            scopes[which].cancel()
            await turns()
            assert (transport.waiter is None) == (which == "reader")
            assert (transport.writer is None) == (which == "writer")
            reset(stream(peer))
        assert transport.waiter is transport.writer is None


async def test_an_interrupt_reaches_a_lone_writer(reactor: Reactor) -> None:
    with one(reactor, "tcp", 50_000) as (_, transport), trio.fail_after(5):

        async def send() -> None:
            with pytest.raises(ValueError, match="time is over"):
                await transport.send(bytes(1_000_000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await turns()
            assert transport.interrupt(ValueError("time is over"))
        assert not transport.interrupt(ValueError("nobody"))


async def test_an_interrupt_reaches_both_who_wait(reactor: Reactor) -> None:
    with one(reactor) as (_, transport):
        transport.ready = 0
        await turns()
        transport.ready = 0

        async def wait(interest: int) -> None:
            with pytest.raises(ValueError, match="time is over"):
                await transport.park(interest)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, IN)
            nursery.start_soon(wait, OUT)
            await turns()
            assert transport.interrupt(ValueError("time is over"))
        assert transport.waiter is transport.writer is None


async def test_park_returns_at_once_where_the_flag_is_set(reactor: Reactor) -> None:
    with one(reactor) as (_, transport), trio.fail_after(5):
        assert transport.ready & OUT
        await transport.park(OUT)


async def test_a_hangup_wakes_who_watches_for_it(reactor: Reactor, kind: str) -> None:
    with one(reactor, kind) as (peer, transport):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.park, HANGUP)
            await turns()
            peer.sendall(b"not yet")
            await turns()
            assert transport.waiter is not None
            peer.close()
        assert transport.hangup


@pytest.mark.parametrize("which", [0, 1, 2], ids=["mine", "the other's", "both in one batch"])
async def test_a_double_wait_ends_with_either(reactor: Reactor, which: int) -> None:
    with one(reactor) as (peer, transport), one(reactor) as (far, other):
        transport.ready = other.ready = OUT
        await turns()
        transport.ready = other.ready = OUT
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.park_with, IN, other, IN)
            await turns()
            assert transport.waiter is other.waiter is not None
            if which != 1:
                peer.sendall(b"1")
            if which != 0:
                far.sendall(b"2")
        assert transport.waiter is other.waiter is None
        assert transport.partner is other.partner is None
        await turns()
        assert bool(transport.ready & IN) == (which != 1)
        assert bool(other.ready & IN) == (which != 0)


async def test_a_double_wait_cancelled_leaves_nothing(reactor: Reactor) -> None:
    with one(reactor) as (peer, transport), one(reactor) as (far, other):
        transport.ready = other.ready = 0
        await turns()
        transport.ready = other.ready = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.park_with, IN, other, IN)
            await turns()
            nursery.cancel_scope.cancel()
        assert transport.waiter is other.waiter is None
        assert transport.partner is other.partner is None
        peer.sendall(b"1")
        far.sendall(b"2")
        assert await transport.receive() == b"1"
        assert await other.receive() == b"2"


@pytest.mark.parametrize("by_partner", [False, True])
async def test_an_interrupt_raises_in_who_waits(reactor: Reactor, *, by_partner: bool) -> None:
    with one(reactor) as (_, transport), one(reactor) as (_far, other):
        assert not transport.interrupt(ValueError("nobody"))
        transport.ready = other.ready = 0
        await turns()
        transport.ready = other.ready = 0

        async def wait() -> None:
            with pytest.raises(ValueError, match="time is over"):
                await transport.park_with(IN, other, IN)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await turns()
            either = other if by_partner else transport
            assert either.interrupt(ValueError("time is over"))
            assert not other.interrupt(ValueError("again"))
        assert transport.waiter is other.waiter is transport.partner is other.partner is None


async def test_abort_resets(reactor: Reactor) -> None:
    with one(reactor) as (peer, transport):
        transport.abort()
        with pytest.raises(ConnectionResetError):
            peer.recv(100)
        transport.abort()
        transport.close()
        assert transport.closed


async def test_a_detached_socket_lives_on_without_the_reactor(reactor: Reactor) -> None:
    peer, ours = tcp_pair()
    transport = Transport(reactor, ours)
    assert repr(transport) == f"<Transport fd {ours.fileno()} open>"
    sock = transport.detach()
    assert sock is ours
    assert reactor.transports == {}
    assert repr(transport) == "<Transport fd -1 closed>"
    transport.close()
    peer.sendall(b"hello")
    assert sock.recv(100) == b"hello"
    again = Transport(reactor, sock)
    peer.sendall(b"again")
    assert await again.receive() == b"again"
    peer.close()
    again.close()


async def test_who_asked_for_it_is_told_of_fin_once_and_of_a_reset(reactor: Reactor) -> None:
    with one(reactor) as (peer, transport):
        told: list[int] = []
        transport.on_hangup = told.append
        peer.sendall(b"last words")
        await turns()
        assert not told
        peer.shutdown(socket.SHUT_WR)
        await turns()
        transport.send_nowait(b"x")
        await turns()
        assert [event & GONE for event in told] == [0]
        assert transport.hangup
        reset(stream(peer))
        await turns()
        assert told[1] & GONE


async def test_a_fin_that_was_seen_coming_is_not_told_again(reactor: Reactor) -> None:
    with one(reactor, "tcp") as (peer, transport):
        told: list[int] = []
        transport.on_hangup = told.append
        transport.look_ahead()
        assert not transport.hangup
        peer.sendall(b"last words")
        peer.shutdown(socket.SHUT_WR)
        transport.look_ahead()
        assert transport.hangup
        await turns()
        assert not told
        assert transport.receive_nowait() == b"last words"
        assert transport.receive_nowait() == b""


async def test_what_has_arrived_and_was_not_read(reactor: Reactor, kind: str) -> None:
    with one(reactor, kind) as (peer, transport):
        assert transport.unread() == 0
        peer.sendall(bytes(1000))
        assert transport.unread() == 1000
        peer.shutdown(socket.SHUT_WR)
        assert transport.receive_nowait(400) == bytes(400)
        assert transport.unread() == 600
