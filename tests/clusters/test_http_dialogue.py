from __future__ import annotations

import pytest
import trio
import trio.testing

from trioproxy.clusters.http_dialogue import MOST, HttpDialogue
from trioproxy.clusters.probe import CheckFailed, Failure, HungUp
from trioproxy.config.health_check import HttpCheck, StatusRange

UP = HttpCheck("/up")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def exchange(check: HttpCheck, *answer: bytes, ends: bool = False) -> tuple[bool, str]:
    """Return whether the connection can be used again, and what the host was asked."""
    ours, theirs = trio.testing.memory_stream_pair()
    asked, kept = b"", False

    async def serve() -> None:
        nonlocal asked
        while not asked.endswith(b"\r\n\r\n"):
            asked += await theirs.receive_some()
        for piece in answer:
            await theirs.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        if ends:
            await theirs.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        kept = await HttpDialogue(check, "app")(ours)
    return kept, asked.decode()


async def failure(check: HttpCheck, *answer: bytes, ends: bool = False) -> CheckFailed:
    with pytest.raises(BaseExceptionGroup) as group:
        await exchange(check, *answer, ends=ends)
    (failed,) = group.value.exceptions
    assert isinstance(failed, CheckFailed)
    return failed


async def test_what_a_host_is_asked() -> None:
    kept, asked = await exchange(UP, OK)
    assert kept
    assert asked == "GET /up HTTP/1.1\r\nhost: app\r\nuser-agent: trioproxy-health-check\r\n\r\n"


async def test_what_it_is_asked_can_be_said_in_detail() -> None:
    headers = {"User-Agent": "me", "x-a": "b"}
    _, asked = await exchange(HttpCheck("/?a", "HEAD", "a.example", headers), OK[:-2])
    assert asked == "HEAD /?a HTTP/1.1\r\nhost: a.example\r\nuser-agent: me\r\nx-a: b\r\n\r\n"


async def test_an_answer_may_come_in_pieces_after_interim_ones() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    pieces = [bytes([byte]) for byte in interim + chunked]
    assert (await exchange(UP, *pieces))[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil it is closed",
        OK + b"and more",
    ],
)
async def test_a_connection_that_ends_or_says_more_is_not_kept(answer: bytes) -> None:
    assert not (await exchange(UP, answer, ends=True))[0]


async def test_a_large_body_is_not_worth_the_connection() -> None:
    """Nor is its end waited for."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n"
    assert not (await exchange(UP, head, b"x" * (MOST + 1)))[0]


@pytest.mark.parametrize(("status", "decisive"), [(500, True), (204, True), (429, False)])
async def test_other_statuses(status: int, decisive: bool) -> None:
    """What the host says is believed at once, unless it is among the retriable ones."""
    check = HttpCheck("/", retriable_statuses=(StatusRange(429),))
    failed = await failure(check, b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % status)
    assert failed.kind is Failure.ACTIVE
    assert failed.decisive is decisive
    assert str(failed) == f"status {status}"


async def test_any_status_may_be_expected() -> None:
    check = HttpCheck("/", expected_statuses=(StatusRange(200), StatusRange(400, 500)))
    assert (await exchange(check, b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"))[0]


async def test_what_is_not_http() -> None:
    failed = await failure(UP, b"+PONG\r\n\r\n")
    assert failed.kind is Failure.NETWORK
    assert str(failed).startswith("not HTTP: ")
    assert len(str(await failure(UP, b"x" * 1000 + b"\r\n\r\n"))) == 100
    assert not isinstance(failed, HungUp)


async def test_an_end_in_the_middle() -> None:
    assert isinstance(await failure(UP, ends=True), HungUp)
    half = await failure(UP, OK[:-1], ends=True)
    assert half.kind is Failure.NETWORK
    assert not isinstance(half, HungUp)
