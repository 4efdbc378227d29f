"""What a client counts as lost: each kind of client against servers that lose in one way."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest
import trio
from lossy import listening

from soak.clients import GET, POST, KeepAlive, NewConnections
from soak.ledger import Kind, Ledger, Outcome
from soak.origin import SMALL_BODY, answer, serve_http
from soak.peer import HOST, Peer
from soak.secure import connect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[Peer], Awaitable[None]]

GOOD = answer(SMALL_BODY)
LAST = GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
LONG = 60.0  # seconds that no test waits for


def giving(*answers: bytes, then: Handler | None = None) -> Handler:
    """A server that answers so many requests, reads one more if something is to come then."""

    async def handle(peer: Peer) -> None:
        for data in answers:
            await peer.head()
            await peer.send_all(data)
        if then:
            await then(peer)

    return handle


async def read_and_close(peer: Peer) -> None:
    await peer.head()


async def reset(peer: Peer) -> None:
    await peer.head()
    peer._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def ask_on_new_connection(ledger: Ledger, handle: Handler) -> None:
    async with listening(handle) as port:
        await NewConnections(port, ledger, 1).ask_once()


async def use_keep_alive(ledger: Ledger, handle: Handler, pause: Callable[[], float]) -> None:
    async with listening(handle) as port:
        client = KeepAlive(port, ledger, Kind.BUSY, GET, pause)
        with await connect(port) as peer:
            await client.use(peer)


async def test_a_right_answer_is_counted_with_its_latency(ledger: Ledger) -> None:
    await ask_on_new_connection(ledger, giving(GOOD))
    assert ledger.counts == {(Kind.NEW, Outcome.ANSWERED): 1}
    assert not ledger.lost
    assert len(ledger.latencies[Kind.NEW, ledger.phase].seconds) == 1


@pytest.mark.parametrize(
    ("handle", "detail"),
    [
        (read_and_close, "EOF"),
        (giving(then=reset), "RST"),
        (giving(GOOD[:-1]), "EOF"),
        (giving(GOOD[:20]), "EOF"),
        (giving(GOOD + b"x"), "1 bytes past the end"),
        (giving(GOOD.replace(b"200", b"503")), "503"),
        (giving(GOOD.replace(b"world", b"w0rld")), "200, 13 bytes: b'hello, w0rld"),
        (giving(b"nonsense\r\n\r\n"), "not a head"),
    ],
    ids=["EOF", "RST", "short", "half a head", "long", "503", "other body", "nonsense"],
)
async def test_anything_but_the_right_answer_on_a_new_connection_has_failed(
    ledger: Ledger, handle: Handler, detail: str
) -> None:
    await ask_on_new_connection(ledger, handle)
    assert ledger.counts == {(Kind.NEW, Outcome.FAILED): 1}
    assert detail in ledger.losses[0].detail
    assert ledger.lost == 1


async def test_a_refused_connection_has_failed(ledger: Ledger) -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    await NewConnections(port, ledger, 1).ask_once()
    assert ledger.losses[0].detail == "connect: Connection refused"
    assert ledger.counts == {(Kind.NEW, Outcome.FAILED): 1}


async def test_a_close_while_idle_is_one_without_notice(ledger: Ledger) -> None:
    await use_keep_alive(ledger, giving(GOOD), lambda: LONG)
    assert ledger.counts == {
        (Kind.BUSY, Outcome.ANSWERED): 1,
        (Kind.BUSY, Outcome.CLOSED): 1,
    }
    assert ledger.losses[0].detail == "idle: EOF"


async def test_bytes_that_nobody_asked_for_are_no_answer(ledger: Ledger) -> None:
    idle = trio.Event()

    def pause() -> float:
        idle.set()
        return LONG

    async def say_more(peer: Peer) -> None:
        await idle.wait()
        await peer.send_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    await use_keep_alive(ledger, giving(GOOD, then=say_more), pause)
    assert ledger.lost == 1
    assert "unasked: b'HTTP/1.1 408" in ledger.losses[0].detail


@pytest.mark.parametrize("end", [read_and_close, reset])
async def test_a_close_under_a_request_is_one_without_notice(ledger: Ledger, end: Handler) -> None:
    await use_keep_alive(ledger, giving(GOOD, GOOD, then=end), lambda: 0)
    assert ledger.counts == {
        (Kind.BUSY, Outcome.ANSWERED): 2,
        (Kind.BUSY, Outcome.CLOSED): 1,
    }
    assert ledger.losses[0].detail.startswith("request in flight: ")


async def test_a_close_with_notice_is_no_loss(ledger: Ledger) -> None:
    await use_keep_alive(ledger, giving(GOOD, LAST), lambda: 0)
    assert ledger.counts == {
        (Kind.BUSY, Outcome.ANSWERED): 2,
        (Kind.BUSY, Outcome.TOLD): 1,
    }
    assert not ledger.lost


async def test_a_client_goes_on_with_a_new_connection(ledger: Ledger) -> None:
    handles = iter([giving(GOOD, GOOD[:-1]), giving(LAST)])
    third = trio.Event()

    async def handle(peer: Peer) -> None:
        if (known := next(handles, None)) is None:
            third.set()
            await trio.sleep_forever()
        else:
            await known(peer)

    async with listening(handle) as port, trio.open_nursery() as nursery:
        nursery.start_soon(KeepAlive(port, ledger, Kind.SLEEPY, GET, lambda: 0).run)
        await third.wait()
        nursery.cancel_scope.cancel()
    assert ledger.counts == {
        (Kind.SLEEPY, Outcome.FAILED): 1,
        (Kind.SLEEPY, Outcome.ANSWERED): 2,
        (Kind.SLEEPY, Outcome.TOLD): 1,
    }


async def test_a_posted_body_must_come_back(ledger: Ledger) -> None:
    async with listening(serve_http) as port:
        with await connect(port) as peer:
            assert (await peer.ask(POST.request))[1] == POST.answer != SMALL_BODY
