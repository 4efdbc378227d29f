"""Two ends of a channel: messages and descriptors arrive whole, in order; the rest is an error."""

from __future__ import annotations

import array
import errno
import os
import resource
import socket
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from trioproxy.restart import channel as channel_module
from trioproxy.restart.channel import BlockingChannel, Channel, PeerGone, channel_pair
from trioproxy.restart.packets import MOST_FDS, PIECE, BadMessage
from trioproxy.restart.wire import Vocabulary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from trioproxy.restart.wire import M


@attrs.frozen
class Say:
    text: str


HEARS = Vocabulary[Say](Say)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = channel_pair()
    with left, right:
        yield left, right


@pytest.fixture
async def pair(
    ends: tuple[socket.socket, socket.socket],
) -> AsyncIterator[tuple[Channel[Say], Channel[Say]]]:
    with Channel(ends[0], HEARS) as left, Channel(ends[1], HEARS) as right:
        yield left, right


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def push(sock: socket.socket, packet: bytes, descriptors: int) -> None:
    """Send a raw packet with some descriptors."""
    rights = array.array("i", [sock.fileno()] * descriptors)
    sock.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


async def test_messages_arrive_in_order(pair: tuple[Channel[Say], Channel[Say]]) -> None:
    left, right = pair
    said = [Say(str(number)) for number in range(50)]
    for message in said:
        await left.send(message)
    assert [(await right.receive()).message for _ in said] == said


async def test_a_descriptor_arrives_usable_and_closed_on_exec(
    pair: tuple[Channel[Say], Channel[Say]],
) -> None:
    left, right = pair
    reader, writer = os.pipe()
    await left.send(Say("a pipe"), [writer])
    os.close(writer)
    (received,) = (await right.receive()).fds
    assert not os.get_inheritable(received)
    os.write(received, b"through")
    os.close(received)
    assert os.read(reader, 100) == b"through"
    os.close(reader)


async def test_more_descriptors_and_bytes_than_a_packet_holds(
    pair: tuple[Channel[Say], Channel[Say]],
) -> None:
    left, right = pair
    fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(MOST_FDS + 7)]
    message = Say("x" * (5 * PIECE))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.send, message, fds)
        received = await right.receive()
    assert received.message == message
    assert len(received.fds) == len(fds)
    channel_module.close_all([*fds, *received.fds])


async def test_a_full_channel_holds_the_sender_back(
    pair: tuple[Channel[Say], Channel[Say]],
) -> None:
    left, right = pair
    sent: list[int] = []

    async def send_all() -> None:
        for number in range(2000):
            await left.send(Say(str(number)))
            sent.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all)
        await trio.testing.wait_all_tasks_blocked()
        assert 0 < len(sent) < 2000
        for number in range(2000):
            assert (await right.receive()).message == Say(str(number))


async def test_a_cancelled_send_does_not_tear_the_next_message(
    pair: tuple[Channel[Say], Channel[Say]],
) -> None:
    left, right = pair
    before = open_fds()
    fd = os.open(os.devnull, os.O_RDONLY)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.send, Say("x" * (100 * PIECE)), [fd])
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    os.close(fd)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.send, Say("whole"))
        assert (await right.receive()).message == Say("whole")
    assert open_fds() == before


async def test_a_cancelled_receive_loses_nothing(pair: tuple[Channel[Say], Channel[Say]]) -> None:
    left, right = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(right.receive)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    await left.send(Say("still here"))
    assert (await right.receive()).message == Say("still here")


async def test_a_closed_peer_is_gone_after_its_last_message(
    pair: tuple[Channel[Say], Channel[Say]],
) -> None:
    left, right = pair
    await right.send(Say("never read"))  # makes the kernel report a reset before what is queued
    await left.send(Say("goodbye"))
    left.close()
    assert (await right.receive()).message == Say("goodbye")
    with pytest.raises(PeerGone):
        await right.receive()
    with pytest.raises(PeerGone):
        await right.send(Say("anybody?"))


@pytest.mark.parametrize(
    "packet", [b"\x00rest", b"\x03not json", b'\x03["Shout", {}]', bytes(PIECE + 2)]
)
@pytest.mark.parametrize("blocking", [False, True])
async def test_garbage_is_a_bad_message_and_leaks_no_descriptor(
    ends: tuple[socket.socket, socket.socket], packet: bytes, *, blocking: bool
) -> None:
    before = open_fds()
    push(ends[0], packet, 3)
    with pytest.raises(BadMessage):
        await receive_one(ends[1], HEARS, blocking=blocking)
    assert open_fds() == before


async def receive_one(sock: socket.socket, hears: Vocabulary[M], *, blocking: bool) -> M:
    if blocking:
        return BlockingChannel(sock, hears).receive().message
    return (await Channel(sock, hears).receive()).message


async def test_descriptors_beyond_the_limit_are_a_bad_message(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    before = open_fds()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    push(ends[0], b"\x03[]", 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(before) + 20, hard))
    try:
        with pytest.raises(BadMessage, match="limit"):
            await Channel(ends[1], HEARS).receive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert open_fds() == before


class Crowded:
    """A socket on which descriptors are refused for a while, as when too many are under way."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.sent: list[bytes] = []

    async def sendmsg(self, buffers: list[bytes], ancillary: object) -> None:
        if self.times:
            self.times -= 1
            raise OSError(errno.ETOOMANYREFS, "Too many references")
        self.sent += buffers

    def close(self) -> None:
        """Nothing to close."""


async def test_too_many_descriptors_under_way_is_back_pressure(
    pair: tuple[Channel[Say], Channel[Say]],
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    crowded = Crowded(times=3)
    monkeypatch.setattr(pair[0], "_socket", crowded)
    await pair[0].send(Say("patience"), [0])
    assert len(crowded.sent) == 1


async def test_blocking_and_async_ends_understand_each_other(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    left, right = Channel(ends[0], HEARS), BlockingChannel(ends[1], HEARS)
    await left.send(Say("to the zygote"), [ends[1].fileno()])
    received = right.receive()
    assert received.message == Say("to the zygote")
    channel_module.close_all(received.fds)
    right.send(Say("y" * (2 * PIECE)))
    assert (await left.receive()).message == Say("y" * (2 * PIECE))
    right.close()
    with pytest.raises(PeerGone):
        await left.receive()
    left.close()


def test_a_blocking_end_sees_that_the_peer_is_gone(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    end = BlockingChannel(ends[1], HEARS)
    end.send(Say("never read"))
    ends[0].close()
    with pytest.raises(PeerGone):
        end.receive()
    with pytest.raises(PeerGone):
        end.send(Say("hello?"))
