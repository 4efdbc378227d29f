"""A worker as main meets it: over its channel, and nowhere else."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING

import pytest
import trio

from trioproxy.restart.channel import Channel, PeerGone, channel_pair
from trioproxy.server.messages import (
    FROM_WORKER,
    Accept,
    Accuse,
    Drain,
    Failed,
    Gather,
    Ping,
    Pong,
    Ready,
    ReopenLogs,
    Report,
    Resume,
    SetHealth,
    SetHosts,
    SetLogLevel,
    Shutdown,
    Start,
    Suspend,
    Terminate,
)
from trioproxy.server.worker import live
from trioproxy.upstream.member import Member, pack
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.stand_ins import Diaries
    from trioproxy.server.log import ProcessLog
    from trioproxy.server.messages import FromWorker
    from trioproxy.server.sockets import Sockets
    from trioproxy.stats.region import Region


class Main:
    """The test in the role of main; `status` is the worker's exit status."""

    def __init__(self, channel: Channel[FromWorker]) -> None:
        self.channel = channel
        self.status: int | None = None
        self.exited = trio.Event()

    async def say(self, *messages: object) -> None:
        for message in messages:
            await self.channel.send(message)  # type: ignore[arg-type]

    async def hear(self) -> FromWorker:
        return (await self.channel.receive()).message

    async def settle(self) -> None:
        """Return when the worker has obeyed all that was said."""
        await self.say(Gather(1))
        while not isinstance(await self.hear(), Report):
            pass


@pytest.fixture
async def main(
    nursery: trio.Nursery, diaries: Diaries, process_log: ProcessLog
) -> AsyncIterator[Main]:
    ours, theirs = channel_pair()
    with Channel(ours, FROM_WORKER) as channel:
        main = Main(channel)

        async def work() -> None:
            main.status = await live(theirs, diaries.open, process_log)
            main.exited.set()

        nursery.start_soon(work)
        yield main


@pytest.fixture
async def started(main: Main, region: Region, sockets: Sockets) -> Main:
    listening = sockets.bound
    names = tuple(bound.listener for bound in listening)
    start = Start(epoch=3, worker=1, workers=2, shutdown_time=5, listeners=names)
    fds = [region.fd, *(bound.sock.fileno() for bound in listening)]
    await main.channel.send(start, fds)
    return main


async def test_it_is_ready_before_it_accepts(started: Main, diaries: Diaries) -> None:
    assert await started.hear() == Ready()
    identity = diaries.last.identity
    assert (identity.epoch, identity.worker, identity.workers) == (3, 1, 2)
    assert identity.writer.counter("c") is not None
    assert diaries.last.told == []
    await started.say(Accept())
    await started.settle()
    assert diaries.last.told == ["start with 2 x web, 1 x db"]


async def test_it_leaves_no_descriptor_open(main: Main, region: Region, sockets: Sockets) -> None:
    before = set(os.listdir("/proc/self/fd"))
    fds = [region.fd, *(bound.sock.fileno() for bound in sockets.bound)]
    await main.channel.send(Start(0, 0, 1, 5, ("web", "web", "db")), fds)
    await main.settle()
    assert len(os.listdir("/proc/self/fd")) > len(before)
    await main.say(Terminate())
    await main.exited.wait()
    assert set(os.listdir("/proc/self/fd")) < before  # its end of the channel is gone, too


async def test_it_obeys_in_order(started: Main, diaries: Diaries) -> None:
    await started.say(Accept(), Suspend(), Accept(), Drain(600, 900), Resume())
    await started.settle()
    assert diaries.last.told[1:] == [
        "suspend",
        "resume",
        "drain hot restart 600.0 900.0 False",
        "undrain hot restart",
    ]


async def test_it_answers_pings_and_reports(started: Main, diaries: Diaries) -> None:
    assert await started.hear() == Ready()
    await started.say(Ping())
    assert await started.hear() == Pong()
    await started.say(Drain(1, 2), Gather(42))
    assert await started.hear() == Report(42, {"told": ["drain hot restart 1.0 2.0 False"]})


async def test_it_sets_log_levels_and_reopens_logs(
    started: Main, diaries: Diaries, process_log: ProcessLog, tmp_path: Path
) -> None:
    await started.say(SetLogLevel("error", "worker-test"), ReopenLogs())
    await started.settle()
    assert logging.getLogger("trioproxy.worker-test").level == logging.ERROR
    assert diaries.last.told == ["reopen logs"]


async def test_it_fails_health_checks_until_it_is_well(started: Main, diaries: Diaries) -> None:
    await started.say(SetHealth(failed=True), SetHealth(failed=False))
    await started.settle()
    assert diaries.last.told == ["health failed", "health ok"]


async def test_it_hears_of_hosts_however_many(started: Main, diaries: Diaries) -> None:
    many = tuple(Member(f"10.0.{n // 256}.{n % 256}:80", metadata={"n": n}) for n in range(1000))
    await started.say(SetHosts("app", pack(many)), SetHosts("db", pack(many[:2])))
    await started.settle()
    app, db = diaries.last.told
    assert app.count(",") == 999
    assert db == "db has 10.0.0.0:80, 10.0.0.1:80"


async def test_it_passes_accusations_on(started: Main, diaries: Diaries) -> None:
    assert await started.hear() == Ready()
    diaries.last.accusations("app", "127.0.0.1:80", EjectionType.CONSECUTIVE_5XX)
    assert await started.hear() == Accuse("app", "127.0.0.1:80", "CONSECUTIVE_5XX")


async def test_it_leaves_as_soon_as_it_is_empty(started: Main, diaries: Diaries) -> None:
    await started.say(Shutdown(1e9))
    await started.settle()
    assert not started.exited.is_set()
    diaries.last.empty.set()
    await started.exited.wait()
    assert started.status == 0
    assert diaries.last.told == ["shutdown 1000000000.0"]


async def test_the_earlier_of_two_shutdowns_counts(started: Main, diaries: Diaries) -> None:
    await started.say(Shutdown(1e9), Shutdown(0.01))
    await started.exited.wait()
    assert started.status == 0


async def test_terminate_does_not_wait(started: Main, diaries: Diaries) -> None:
    await started.say(Shutdown(1e9), Terminate())
    await started.exited.wait()
    assert started.status == 0


async def test_without_main_it_leaves_as_by_shutdown(started: Main, diaries: Diaries) -> None:
    await started.settle()
    started.channel.close()
    await diaries.last.leaving.wait()
    try:
        assert diaries.last.told == ["close listeners", "shutdown 5.0"]
        diaries.last.empty.set()
        await started.exited.wait()
        assert started.status == 0
        assert signal.alarm(0) > 5
    finally:
        signal.alarm(0)


async def test_a_main_that_leaves_before_start_is_no_error(main: Main) -> None:
    main.channel.close()
    await main.exited.wait()
    assert main.status == 0


async def test_why_it_could_not_start_is_said(main: Main, diaries: Diaries, region: Region) -> None:
    diaries.broken = OSError("no such access log")
    await main.channel.send(Start(0, 0, 1, 5, ()), [region.fd])
    message = await main.hear()
    assert isinstance(message, Failed)
    assert message.reason.startswith("OSError: no such access log (stand_ins.py:")
    with pytest.raises(PeerGone):
        await main.hear()
    assert main.status == 1


async def test_anything_but_start_first_is_refused(
    diaries: Diaries, process_log: ProcessLog
) -> None:
    ours, theirs = channel_pair()
    with Channel(ours, FROM_WORKER) as channel:
        await channel.send(Ping())
        with pytest.raises(TypeError, match="expected Start"):
            await live(theirs, diaries.open, process_log)
