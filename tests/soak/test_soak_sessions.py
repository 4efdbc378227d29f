"""What sessions and transfers count as lost: every byte that is missing, doubled or changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
from lossy import listening, pump, relay

from soak.frames import Opcode, frame
from soak.half_closed import HalfClosed
from soak.ledger import Kind, Ledger, Outcome
from soak.origin import SMALL_BODY, answer, echo, serve_http
from soak.peer import Ended, Peer
from soak.secure import connect
from soak.sessions import Session, standing
from soak.transfers import Transfers

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock


class Fault:
    """Spoils the `number`-th piece that passes, or cuts there."""

    def __init__(self, number: int, spoil: Callable[[bytes], bytes]) -> None:
        self.left = number
        self.spoil = spoil

    def __call__(self, data: bytes) -> bytes:
        self.left -= 1
        return data if self.left else self.spoil(data)


def cut(_: bytes) -> bytes:
    raise Ended("cut")


FAULTS = {
    "lost": lambda data: data[:-1],
    "doubled": lambda data: data + data,
    "changed": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
}


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("kind", [Kind.TCP, Kind.WEBSOCKET])
async def test_a_session_sees_each_wrong_byte(
    ledger: Ledger, kind: Kind, spoil: Callable[[bytes], bytes]
) -> None:
    """Message 5 is spoiled; of WebSockets the first piece is the upgrade."""
    behind = echo if kind is Kind.TCP else serve_http
    async with (
        listening(behind) as origin,
        listening(partial(relay, port=origin, spoil=Fault(5, spoil))) as port,
    ):
        outcome, detail = await Session(port, ledger, kind, gap=0.001).use()
    assert outcome is Outcome.FAILED
    assert detail.startswith(("wrong bytes after ", "a frame that nobody sent"))
    assert ledger.counts[kind, Outcome.ANSWERED] >= 3


@pytest.mark.parametrize("spoil", [cut, *FAULTS.values()], ids=["cut", *FAULTS])
@pytest.mark.parametrize("talks", [False, True])
async def test_a_half_closed_session_sees_each_wrong_byte(
    ledger: Ledger, spoil: Callable[[bytes], bytes], *, talks: bool
) -> None:
    """The first piece says which half is closed; of wrong bytes who listens there hangs up."""
    way = {"forth" if talks else "spoil": Fault(5, spoil)}
    async with (
        listening(echo) as origin,
        listening(partial(relay, port=origin, **way)) as port,
    ):
        session = HalfClosed(port, ledger, Kind.HALF_CLOSED, gap=0.001, talks=talks)
        outcome, _ = await session.use()
    assert outcome in {Outcome.CLOSED, Outcome.FAILED}
    assert ledger.counts[Kind.HALF_CLOSED, Outcome.ANSWERED] >= 3


@pytest.mark.parametrize("kind", [Kind.TCP, Kind.WEBSOCKET])
async def test_a_session_that_is_cut_was_closed_without_notice(ledger: Ledger, kind: Kind) -> None:
    behind = echo if kind is Kind.TCP else serve_http
    async with (
        listening(behind) as origin,
        listening(partial(relay, port=origin, spoil=Fault(5, cut))) as port,
    ):
        outcome = await Session(port, ledger, kind, gap=0.001).use()
    assert outcome == (Outcome.CLOSED, "EOF")


async def test_the_session_after_a_cut_is_another_one(ledger: Ledger) -> None:
    """So it is not mistaken for one that survived."""
    seen: list[set[tuple[int, int]]] = []
    third = trio.Event()

    async def handle(peer: Peer) -> None:
        seen.append(standing(sessions, Kind.TCP))
        if len(seen) == 3:
            third.set()
            await trio.sleep_forever()
        await peer.send_all(await peer.receive())
        seen[-1] |= standing(sessions, Kind.TCP)

    async with listening(handle) as port, trio.open_nursery() as nursery:
        sessions = [Session(port, ledger, Kind.TCP, gap=0.001)]
        nursery.start_soon(sessions[0].run)
        await third.wait()
        nursery.cancel_scope.cancel()
    assert seen[:2] == [{(0, 1)}, {(0, 2)}]
    assert ledger.counts[Kind.TCP, Outcome.CLOSED] == 2


async def test_a_websocket_that_is_told_to_leave_was_not_lost(ledger: Ledger) -> None:
    close = frame((1012).to_bytes(2), Opcode.CLOSE, masked=False)

    async def handle(peer: Peer) -> None:
        await relay(peer, origin, Fault(4, lambda _: close))

    async with listening(serve_http) as origin, listening(handle) as port:
        outcome = await Session(port, ledger, Kind.WEBSOCKET, gap=0.001).use()
    assert outcome == (Outcome.TOLD, "close frame 1012")


async def test_a_websocket_that_is_not_upgraded_has_failed(ledger: Ledger) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.head()
        await peer.send_all(answer(SMALL_BODY))

    async with listening(refuse) as port:
        outcome = await Session(port, ledger, Kind.WEBSOCKET, gap=0.001).use()
    assert outcome == (Outcome.FAILED, "upgrade answered with 200")


async def test_a_session_that_falls_silent_has_failed(
    ledger: Ledger, autojump_clock: MockClock
) -> None:
    """At a message every 6 s the second would be 12 s late."""

    async def keep_quiet(peer: Peer) -> None:
        while True:
            await peer.receive()

    async with listening(keep_quiet) as port:
        outcome = await Session(port, ledger, Kind.TCP, gap=6).use()
    assert outcome == (Outcome.FAILED, "silent for 10 s")


async def test_transfers_arrive_whole(ledger: Ledger) -> None:
    async with listening(serve_http) as port:
        await Transfers(port, ledger, 0).run()
    assert ledger.counts == {
        (Kind.DOWNLOAD, Outcome.ANSWERED): 2,
        (Kind.UPLOAD, Outcome.ANSWERED): 2,
    }


@pytest.mark.parametrize("spoil", [cut, *FAULTS.values()], ids=["cut", *FAULTS])
async def test_a_download_with_a_wrong_byte_has_failed(
    ledger: Ledger, spoil: Callable[[bytes], bytes]
) -> None:
    async with (
        listening(serve_http) as origin,
        listening(partial(relay, port=origin, spoil=Fault(9, spoil))) as port,
    ):
        transfers = Transfers(port, ledger, 0)
        await transfers.transfer(Kind.DOWNLOAD, transfers.download, False)
    assert ledger.counts == {(Kind.DOWNLOAD, Outcome.FAILED): 1}


async def test_an_upload_that_arrives_otherwise_has_failed(ledger: Ledger) -> None:
    async def spoil_what_goes_up(peer: Peer) -> None:
        with await connect(origin) as up:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    pump, peer, up, Fault(9, FAULTS["changed"]), nursery.cancel_scope
                )
                nursery.start_soon(pump, up, peer, bytes, nursery.cancel_scope)

    async with listening(serve_http) as origin, listening(spoil_what_goes_up) as port:
        transfers = Transfers(port, ledger, 0.05)
        await transfers.transfer(Kind.UPLOAD, transfers.upload, False)
    assert ledger.counts == {(Kind.UPLOAD, Outcome.FAILED): 1}
    assert "broken" in ledger.losses[0].detail
