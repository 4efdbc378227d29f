"""A worker process as main sees it, the worker being the test: pings, answers, ends."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from server.stand_ins import TaskChild
from trioproxy.restart.channel import Channel, channel_pair
from trioproxy.restart.packets import LARGEST_MESSAGE
from trioproxy.server.messages import (
    FROM_WORKER,
    TO_WORKER,
    Accuse,
    Failed,
    Gather,
    Ping,
    Pong,
    Ready,
    Report,
    SetLogLevel,
)
from trioproxy.server.process import BEAT, DEAD, MISSED, SILENT, Process
from trioproxy.stats.server import WatchdogStats
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trioproxy.server.messages import ToWorker
    from trioproxy.stats.handles import Counter
    from trioproxy.stats.writer import Writer


class Worker:
    """The test in the role of a worker."""

    def __init__(self, channel: Channel[ToWorker]) -> None:
        self.channel = channel

    async def say(self, message: object) -> None:
        await self.channel.send(message)  # type: ignore[arg-type]

    async def hear(self) -> ToWorker:
        return (await self.channel.receive()).message


@pytest.fixture
def watchdog(writer: Writer) -> WatchdogStats:
    return WatchdogStats(writer, 0)


@pytest.fixture
def accused() -> list[tuple[str, str, EjectionType]]:
    return []


@pytest.fixture
async def ends(
    watchdog: WatchdogStats, accused: list[tuple[str, str, EjectionType]]
) -> AsyncIterator[tuple[Process, TaskChild, Worker]]:
    ours, theirs = channel_pair()
    child = TaskChild(4711)
    with Channel(ours, FROM_WORKER) as main, Channel(theirs, TO_WORKER) as worker:
        process = Process(0, main, child, watchdog, lambda *said: accused.append(said))  # type: ignore[arg-type]
        yield process, child, Worker(worker)


Ends = tuple[Process, TaskChild, Worker]


async def test_what_is_too_large_to_be_said_harms_nobody(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    process, _, worker = ends
    assert await process.tell(SetLogLevel("x" * LARGEST_MESSAGE))
    assert "worker 0 (pid 4711) is not told SetLogLevel: a message of 8" in caplog.text
    assert await process.tell(Ping())
    assert await worker.hear() == Ping()


async def test_readiness_and_reasons_are_heard(ends: Ends, nursery: trio.Nursery) -> None:
    process, _, worker = ends
    nursery.start_soon(process.watch)
    await worker.say(Failed("no luck"))
    await worker.say(Ready())
    await process.ready.wait()
    assert process.failure == "no luck"


async def test_accusations_are_passed_on(
    ends: Ends, accused: list[tuple[str, str, EjectionType]], nursery: trio.Nursery
) -> None:
    process, _, worker = ends
    nursery.start_soon(process.watch)
    await worker.say(Accuse("app", "127.0.0.1:80", "CONSECUTIVE_5XX"))
    await trio.testing.wait_all_tasks_blocked()
    assert accused == [("app", "127.0.0.1:80", EjectionType.CONSECUTIVE_5XX)]


async def test_reports_find_who_asked(ends: Ends, nursery: trio.Nursery) -> None:
    process, _, worker = ends
    nursery.start_soon(process.watch)
    answers: dict[str, object] = {}

    async def ask(name: str) -> None:
        answers[name] = await process.gather()

    async with trio.open_nursery() as asking:
        asking.start_soon(ask, "first")
        await trio.testing.wait_all_tasks_blocked()
        asking.start_soon(ask, "second")
        numbers = [
            message.number
            for message in [await worker.hear(), await worker.hear()]
            if isinstance(message, Gather)
        ]
        for number in reversed(numbers):
            await worker.say(Report(number, {"was": number}))
    assert answers == {"first": {"was": numbers[0]}, "second": {"was": numbers[1]}}


async def test_a_report_that_comes_too_late_harms_nobody(
    ends: Ends, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    process, _, worker = ends
    nursery.start_soon(process.watch)
    assert await process.gather() is None
    await worker.say(Report(1, {}))
    await worker.say(Ready())
    await process.ready.wait()


async def test_whether_a_command_was_taken(
    ends: Ends, autojump_clock: trio.testing.MockClock
) -> None:
    process, _, worker = ends
    while await process.tell(Gather(1)):
        pass  # until the channel is full of what nobody reads
    assert await worker.hear() == Gather(1)
    assert await process.tell(Gather(2))
    worker.channel.close()
    assert await process.tell(Gather(3))  # nobody is left to take it


async def test_a_worker_that_dies_owes_no_report(ends: Ends, nursery: trio.Nursery) -> None:
    process, child, worker = ends
    child.gone.set()
    async with trio.open_nursery() as asking:
        asking.start_soon(process.watch)
        asking.start_soon(process.gather)
        await trio.testing.wait_all_tasks_blocked()
        worker.channel.close()


async def test_one_that_answers_pings_lives_for_ever(
    ends: Ends, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    process, child, worker = ends
    nursery.start_soon(process.watch)
    for _ in range(3 * DEAD):
        assert await worker.hear() == Ping()
        await worker.say(Pong())
    assert child.signals == []


async def test_silence_is_logged_with_the_stack_and_then_ended(
    ends: Ends,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    process, child, _ = ends
    nursery.start_soon(process.watch)
    await trio.sleep((SILENT - 0.5) * BEAT)
    assert child.signals == []
    await trio.sleep(BEAT)
    assert child.signals == [signal.SIGUSR2]
    assert "worker 0 (pid 4711) has been silent for 10 s" in caplog.text
    await trio.sleep((DEAD - SILENT) * BEAT)
    assert child.signals == [signal.SIGUSR2, signal.SIGKILL]


async def test_one_word_breaks_the_silence(
    ends: Ends, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    process, child, worker = ends
    nursery.start_soon(process.watch)
    await trio.sleep((SILENT - 0.5) * BEAT)
    await worker.say(Pong())
    await trio.sleep((SILENT - 1) * BEAT)
    assert child.signals == []


async def test_one_that_closes_its_channel_and_stays_is_killed(
    ends: Ends, autojump_clock: trio.testing.MockClock
) -> None:
    process, child, worker = ends
    worker.channel.close()

    async def die() -> None:
        await child.killed.wait()
        child.gone.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(die)
        assert await process.watch() == "killed by SIGKILL"


async def test_garbage_is_taken_for_the_end(
    ends: Ends, autojump_clock: trio.testing.MockClock
) -> None:
    process, child, worker = ends
    child.gone.set()
    child.how = "exited with 0"
    await worker.say(Ping())  # no word of a worker's
    assert await process.watch() == "exited with 0"


async def test_a_worker_that_takes_no_commands_does_not_hold_main(
    ends: Ends, autojump_clock: trio.testing.MockClock
) -> None:
    process, _, _ = ends
    logging.getLogger("trioproxy").setLevel(logging.INFO)
    for _ in range(400):  # more than the channel holds
        await process.tell(Ping())


def value(counter: Counter) -> int:
    return counter.cells[counter.index]


async def test_the_watchdog_counts_each_silence_once(
    ends: Ends,
    watchdog: WatchdogStats,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    process, _, worker = ends
    nursery.start_soon(process.watch)
    await trio.sleep((MISSED - 0.5) * BEAT)
    assert value(watchdog.watchdog_miss) == 0
    await trio.sleep((SILENT - MISSED) * BEAT)
    assert value(watchdog.watchdog_miss) == 1
    assert value(watchdog.watchdog_mega_miss) == 0
    await trio.sleep(BEAT)
    assert value(watchdog.watchdog_mega_miss) == 1
    await worker.say(Pong())
    await trio.sleep(MISSED * BEAT)
    assert (value(watchdog.watchdog_miss), value(watchdog.watchdog_mega_miss)) == (2, 1)
