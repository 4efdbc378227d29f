from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import pytest
import trio
from ends import one, tcp_pair, turns

from trioproxy.reactor.epoll import EVENTS_PER_TURN, IN, OUT, PUMP_TURNS, Reactor
from trioproxy.reactor.running import open_reactor
from trioproxy.reactor.transport import Transport


async def test_more_events_than_fit_in_a_turn_all_arrive(reactor: Reactor) -> None:
    got = set()

    async def receive(transport: Transport) -> None:
        got.add(await transport.receive())

    with ExitStack() as stack, trio.fail_after(10):
        ends = [stack.enter_context(one(reactor, "unix")) for _ in range(3 * EVENTS_PER_TURN)]
        async with trio.open_nursery() as nursery:
            for _, transport in ends:
                nursery.start_soon(receive, transport)
            await turns()
            for number, (peer, _) in enumerate(ends):
                peer.sendall(b"%d" % number)
        assert got == {b"%d" % number for number in range(len(ends))}


async def test_a_turn_is_bounded(reactor: Reactor) -> None:
    """Another task runs before the reactor has dispatched all of a burst."""
    with ExitStack() as stack, trio.fail_after(10):
        ends = [stack.enter_context(one(reactor, "unix")) for _ in range(4 * EVENTS_PER_TURN)]
        await turns()
        for peer, transport in ends:
            transport.ready = 0
            peer.send(b"!")
        seen = {0}
        while max(seen) < len(ends):
            await trio.lowlevel.checkpoint()
            seen.add(sum(bool(transport.ready & IN) for _, transport in ends))
        assert len(seen) > 2


class FireHose:
    """A pump that is never through; it counts its turns."""

    turns = 0

    def turn(self) -> bool:
        self.turns += 1
        return True


async def test_a_fire_hose_starves_nobody(reactor: Reactor) -> None:
    """However much there is to pump, whoever is waiting is served within a few turns of it."""
    with one(reactor) as (source, pumped), one(reactor) as (peer, transport):
        hose = FireHose()
        pumped.pump = hose
        served: list[int] = []

        async def echo() -> None:
            while data := await transport.receive():
                served.append(hose.turns)
                await transport.send(data)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            source.sendall(b"!")
            while hose.turns < 100:
                await trio.lowlevel.checkpoint()
            for _ in range(10):
                begun = hose.turns
                peer.sendall(b"!")
                source.sendall(b"more for the hose")
                while not served:
                    await trio.lowlevel.checkpoint()
                assert served.pop() - begun <= 3 * (PUMP_TURNS + 1)
            nursery.cancel_scope.cancel()
        pumped.pump = None
        reactor.forget(hose)
        ended = hose.turns
        await turns()
        assert hose.turns == ended


async def test_events_of_a_closed_fd_never_reach_its_successor(reactor: Reactor) -> None:
    peer, ours = tcp_pair()
    first = Transport(reactor, ours)
    await turns()
    peer.send(b"for the first")
    number = first.fd
    far, other = tcp_pair()
    first.close()
    os.dup2(other.fileno(), number)
    second = Transport(reactor, socket.socket(fileno=number))
    second.ready = OUT
    await turns()
    assert not second.ready & IN
    assert not second.hangup
    for each in (peer, far, other, second):
        each.close()


async def test_events_of_a_socket_passed_on_never_come_back(reactor: Reactor) -> None:
    """The file description lives on elsewhere; its number here belongs to somebody else."""
    peer, ours = tcp_pair()
    first = Transport(reactor, ours)
    passed_on = ours.dup()
    number = first.fd
    far, other = tcp_pair()
    first.detach().close()
    os.dup2(other.fileno(), number)
    second = Transport(reactor, socket.socket(fileno=number))
    await turns()
    second.ready = 0
    peer.send(b"for the new owner")
    await turns()
    assert second.ready == 0
    assert passed_on.recv(100) == b"for the new owner"
    for each in (peer, far, other, second, passed_on):
        each.close()


async def test_it_can_be_left_while_events_come_in() -> None:
    """Events may have woken the reactor's task in the very turn in which it is left."""
    for patience in range(6):
        async with open_reactor() as reactor:
            with one(reactor) as (peer, _):
                await turns()
                peer.send(b"!")
                for _ in range(patience):
                    await trio.lowlevel.checkpoint()


async def test_a_transport_may_be_closed_after_its_reactor() -> None:
    async with open_reactor() as reactor:
        peer, ours = tcp_pair()
        transport = Transport(reactor, ours)
        assert repr(reactor) == "<Reactor 1 transports>"
    transport.close()
    assert peer.recv(1) == b""
    peer.close()


async def test_the_time_is_taken_each_turn(reactor: Reactor) -> None:
    with one(reactor) as (peer, _):
        await turns()
        begun = trio.current_time()
        assert reactor.now <= begun
        peer.sendall(b"!")
        with trio.fail_after(5):
            while reactor.now < begun:
                await trio.lowlevel.checkpoint()


async def test_registering_what_is_registered_is_an_error(reactor: Reactor) -> None:
    with one(reactor) as (_, transport), pytest.raises(FileExistsError):
        reactor.register(transport)
