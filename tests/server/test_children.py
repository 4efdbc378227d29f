"""Main's side of the zygote, with the test as the zygote and `sleep` as the workers."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
import trio

from trioproxy.restart.channel import BlockingChannel, channel_pair
from trioproxy.server.children import CannotFork, Children, ZygoteGone, describe, open_children
from trioproxy.server.messages import TO_ZYGOTE, Exited, Fork, Forked, NotForked, ReopenLogs
from trioproxy.server.zygote import Seed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from trioproxy.server.children import Child


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exited with 0"),
        (3, "exited with 3"),
        (-9, "killed by SIGKILL"),
        (-11, "killed by SIGSEGV"),
        (-40, "killed by 40"),
        (None, "ended, nobody knows how"),
    ],
)
def test_an_exit_status_is_said_in_words(status: int | None, words: str) -> None:
    assert describe(status) == words


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


class Zygote:
    """The test in the role of the zygote; its process is a `sleep` of its own."""

    def __init__(self) -> None:
        self.end, theirs = channel_pair()
        self.channel = BlockingChannel(theirs, TO_ZYGOTE)
        self.pid = os.posix_spawnp("sleep", ["sleep", "1000"], os.environ)

    def answer_fork(self, pid: int) -> None:
        """Take in one request and say that it became the process `pid`."""
        received = self.channel.receive()
        assert isinstance(received.message, Fork)
        os.close(received.fds[0])
        pidfd = os.pidfd_open(pid)
        self.channel.send(Forked(received.message.worker, pid), [pidfd])
        os.close(pidfd)


@pytest.fixture
async def zygote() -> AsyncIterator[Zygote]:
    zygote = Zygote()
    yield zygote
    zygote.channel.close()


@pytest.fixture
async def children(zygote: Zygote) -> AsyncIterator[Children]:
    async with open_children(Seed(zygote.pid, zygote.end)) as children:
        yield children
    with pytest.raises(ChildProcessError):
        os.waitpid(zygote.pid, os.WNOHANG)  # noqa: ASYNC222 (it does not wait)


async def fork(children: Children, zygote: Zygote, pid: int) -> Child:
    ours, theirs = channel_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, zygote.answer_fork, pid)
        with ours, theirs:
            return await children.fork(5, theirs)


async def test_a_worker_is_born_signalled_and_seen_off(
    children: Children, zygote: Zygote, sleeper: subprocess.Popen[bytes]
) -> None:
    child = await fork(children, zygote, sleeper.pid)
    assert child.pid == sleeper.pid
    child.signal(signal.SIGTERM)
    await trio.lowlevel.wait_readable(child.pidfd)
    zygote.channel.send(Exited(sleeper.pid, -15))
    assert await child.ended() == "killed by SIGTERM"
    sleeper.wait()
    child.signal(signal.SIGKILL)  # nobody is there: no harm
    child.close()
    child.signal(signal.SIGKILL)


async def test_a_refusal_is_an_error_with_its_reason(children: Children, zygote: Zygote) -> None:
    ours, theirs = channel_pair()
    zygote.channel.send(NotForked(0, "Resource temporarily unavailable"))
    with ours, theirs, pytest.raises(CannotFork, match="temporarily"):
        await children.fork(0, theirs)


async def test_without_a_zygote_there_is_no_birth_and_no_known_end(
    children: Children,
    zygote: Zygote,
    sleeper: subprocess.Popen[bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    child = await fork(children, zygote, sleeper.pid)
    os.kill(zygote.pid, signal.SIGKILL)
    zygote.channel.close()
    await children.orphaned.wait()
    assert "killed by SIGKILL" in caplog.text
    ours, theirs = channel_pair()
    with ours, theirs, pytest.raises(ZygoteGone):
        await children.fork(0, theirs)
    child.signal(signal.SIGKILL)
    assert await child.ended() == "ended, nobody knows how"
    child.close()
    await children.reopen_logs()


async def test_it_has_the_zygote_reopen_its_log(children: Children, zygote: Zygote) -> None:
    await children.reopen_logs()
    assert zygote.channel.receive().message == ReopenLogs()


async def test_no_worker_outlives_the_end(zygote: Zygote, sleeper: subprocess.Popen[bytes]) -> None:
    async with open_children(Seed(zygote.pid, zygote.end)) as children:
        child = await fork(children, zygote, sleeper.pid)
    assert sleeper.wait(10) == -signal.SIGKILL
    child.close()
