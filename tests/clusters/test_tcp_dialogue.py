from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioproxy.clusters.probe import CheckFailed, Failure, HungUp
from trioproxy.clusters.tcp_dialogue import MOST, TcpDialogue, in_order
from trioproxy.config.health_check import Payload, TcpCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

PING = TcpCheck(send=Payload("PING\r\n"), receive=(Payload("+PONG\r\n"),))


class Host:
    """Says what it is told to, whatever it hears."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._ours, self._theirs = trio.testing.memory_stream_pair()

    async def talk(self, check: TcpCheck, *pieces: bytes, ends: bool = False) -> bool:
        self._nursery.start_soon(self._say, pieces, ends)
        return await TcpDialogue(check)(self._ours)

    async def _say(self, pieces: Sequence[bytes], ends: bool) -> None:
        for piece in pieces:
            await self._theirs.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        if ends:
            await self._theirs.send_eof()

    async def heard(self) -> bytes:
        return bytes(await self._theirs.receive_some())


@pytest.fixture
async def host(nursery: trio.Nursery) -> Host:
    return Host(nursery)


@pytest.mark.parametrize(
    ("wanted", "heard", "expected"),
    [
        ([b"a", b"b"], b"a b", True),
        ([b"a", b"b"], b"b a", False),
        ([b"aa", b"a"], b"aa", False),
        ([b"aa", b"a"], b"aaa", True),
        ([], b"", True),
    ],
)
def test_payloads_are_found_in_order(wanted: list[bytes], heard: bytes, expected: bool) -> None:
    assert in_order(wanted, heard) is expected


async def test_the_answer_may_come_in_pieces_with_other_things_around_it(host: Host) -> None:
    assert await host.talk(PING, b"hello +PO", b"NG\r", b"\n")
    assert await host.heard() == b"PING\r\n"


async def test_to_be_connected_may_be_enough(host: Host) -> None:
    assert not await host.talk(TcpCheck())  # and the connection has no further use


async def test_a_host_may_speak_first(host: Host) -> None:
    assert await host.talk(TcpCheck(receive=(Payload("220 "),)), b"220 ready\r\n")


async def test_a_host_that_hangs_up_has_said_nothing(host: Host) -> None:
    with pytest.raises(HungUp):
        await host.talk(PING, ends=True)


async def test_a_host_that_hangs_up_in_the_middle_has(host: Host) -> None:
    with pytest.raises(CheckFailed, match="before its answer was whole") as failure:
        await host.talk(PING, b"+PO", ends=True)
    assert not isinstance(failure.value, HungUp)


async def test_too_much_of_something_else(host: Host) -> None:
    with pytest.raises(CheckFailed, match="too much") as failure:
        await host.talk(PING, b"x" * MOST, b"x")
    assert failure.value.kind is Failure.NETWORK
