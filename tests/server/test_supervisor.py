"""Starting, keeping and ending workers, which here are tasks behind real channels."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from server.stand_ins import Diary
from trioproxy.server.children import CannotFork, ZygoteGone
from trioproxy.server.log import fold
from trioproxy.server.messages import (
    Accept,
    Drain,
    Ping,
    ReopenLogs,
    Resume,
    SetHealth,
    SetHosts,
    SetLogLevel,
    Shutdown,
    Suspend,
)
from trioproxy.server.place import FIRST_PAUSE, LONGEST_PAUSE, PROVEN, StartFailed
from trioproxy.server.process import Process
from trioproxy.upstream.member import Member, pack
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio.testing import MockClock

    from server.stand_ins import Diaries, TaskChildren
    from trioproxy.server.messages import ToWorker
    from trioproxy.server.supervisor import Supervisor

HOSTS = pack([Member("127.0.0.1:1")])


async def test_all_are_ready_when_start_returns(
    supervisor: Supervisor, diaries: Diaries, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await supervisor.start(nursery)
    assert sorted(diary.identity.worker for diary in diaries.all) == [0, 1]
    await supervisor.tell(Accept())
    reports = await supervisor.gather()
    assert reports == {
        0: {"told": ["start with 1 x web, 1 x db"]},
        1: {"told": ["start with 1 x web, 1 x db"]},
    }


async def test_that_all_have_obeyed_takes_no_figures(
    supervisor: Supervisor,
    diaries: Diaries,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They cost a worker with many connections a stall of its loop."""
    monkeypatch.setattr(Diary, "report", pytest.fail)
    await supervisor.start(nursery)
    await supervisor.tell(Suspend())
    await supervisor.obeyed()
    assert [diary.told for diary in diaries.all] == [["suspend"], ["suspend"]]


async def test_accusations_of_all_workers_are_heard(
    supervisor: Supervisor, diaries: Diaries, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    heard: list[tuple[str, str, EjectionType]] = []
    supervisor.accuse = lambda *said: heard.append(said)
    await supervisor.start(nursery)
    for place, diary in enumerate(diaries.all):
        diary.accusations("app", f"host {place}", EjectionType.CONSECUTIVE_5XX)
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(host for _, host, _ in heard) == ["host 0", "host 1"]


async def start_failure(supervisor: Supervisor) -> str:
    with pytest.raises(BaseExceptionGroup) as failure:
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
    failed, rest = failure.value.split(StartFailed)
    assert failed is not None
    assert rest is None
    return fold(failed)


async def test_a_worker_that_cannot_be_warm_fails_the_start(
    supervisor: Supervisor, diaries: Diaries
) -> None:
    diaries.broken = OSError("no such log")
    assert re.search(r"worker \d .*OSError: no such log", await start_failure(supervisor))


async def test_no_process_to_be_had_fails_the_start(
    supervisor: Supervisor, children: TaskChildren
) -> None:
    children.refuse = CannotFork("no more processes")
    assert "no more processes" in await start_failure(supervisor)


async def test_a_dead_worker_is_replaced_and_brought_to_where_the_others_are(
    supervisor: Supervisor,
    diaries: Diaries,
    children: TaskChildren,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
) -> None:
    await supervisor.start(nursery)
    await supervisor.tell(Accept())
    await supervisor.tell(Drain(1, 2))
    await supervisor.reopen_logs()
    assert children.zygote_reopened
    children.all[0].signal(signal.SIGKILL)
    await trio.sleep(FIRST_PAUSE * 2)
    assert len(diaries.all) == 3
    await supervisor.obeyed()
    assert sorted(diaries.last.told) == [
        "drain hot restart 1.0 2.0 False",
        "reopen logs",
        "start with 1 x web, 1 x db",
    ]


async def test_a_replacement_that_is_busy_misses_nothing(
    supervisor: Supervisor,
    diaries: Diaries,
    children: TaskChildren,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await supervisor.start(nursery)
    await supervisor.set_hosts("app", [Member("127.0.0.1:1")])
    tell, refused = Process.tell, list[object]()

    async def too_busy(process: Process, message: ToWorker, fds: Sequence[int] = ()) -> bool:
        if isinstance(message, SetHosts) and len(refused) < 2:
            refused.append(message)
            return False
        return await tell(process, message, fds)

    monkeypatch.setattr(Process, "tell", too_busy)
    children.all[0].signal(signal.SIGKILL)
    await trio.sleep(FIRST_PAUSE * 2)
    await supervisor.gather()
    assert len(refused) == 2
    assert "app has 127.0.0.1:1" in diaries.last.told


@pytest.mark.parametrize(
    ("said", "remembered"),
    [
        ([Accept(), Suspend()], [Suspend()]),
        ([Suspend(), Accept()], [Accept()]),
        ([Drain(1, 2), Resume()], [Resume()]),
        ([SetLogLevel("info"), SetLogLevel("off")], [SetLogLevel("off")]),
        (
            [SetLogLevel("info"), SetLogLevel("off", "web")],
            [SetLogLevel("info"), SetLogLevel("off", "web")],
        ),
        ([ReopenLogs(), ReopenLogs()], [ReopenLogs()]),
        ([SetHealth(failed=True)], [SetHealth(failed=True)]),
        ([SetHealth(failed=True), SetHealth(failed=False)], [SetHealth(failed=False)]),
        ([Accept(), Ping(), Shutdown(3)], [Accept(), Shutdown(3)]),
        ([Accept(), SetHosts("a", ())], [SetHosts("a", ()), Accept()]),
        ([SetHosts("a", ()), SetHosts("a", HOSTS)], [SetHosts("a", HOSTS)]),
    ],
)
async def test_what_holds_for_workers_to_come(
    supervisor: Supervisor, said: list[object], remembered: list[object]
) -> None:
    for message in said:
        await supervisor.tell(message)
    assert list(supervisor.standing()) == remembered


async def test_replacements_come_ever_later_until_one_proves_itself(
    supervisor: Supervisor, children: TaskChildren, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await supervisor.start(nursery)
    pauses = []
    for lived in [1, 1, 1, 1, 1, 1, 1, 1, PROVEN + 1, 1]:
        await trio.sleep(lived)
        born = len(children.all)
        died = trio.current_time()
        children.all[-1].signal(signal.SIGKILL)
        while len(children.all) == born:  # noqa: ASYNC110 (nobody tells)
            await trio.sleep(0.01)
        pauses.append(round(trio.current_time() - died, 1))
    assert pauses[:8] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_PAUSE, LONGEST_PAUSE]
    assert pauses[8:] == [FIRST_PAUSE, 2 * FIRST_PAUSE]


async def test_a_replacement_that_cannot_be_had_is_reported(
    supervisor: Supervisor, children: TaskChildren, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await supervisor.start(nursery)
    children.refuse = ZygoteGone("the zygote is gone")
    children.all[0].signal(signal.SIGKILL)
    await trio.sleep(1)
    (regret,) = children.regrets
    assert regret.endswith("cannot be replaced: the zygote is gone")


async def test_a_fork_that_the_system_refuses_is_tried_again(
    supervisor: Supervisor,
    children: TaskChildren,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
) -> None:
    await supervisor.start(nursery)
    children.refuse = CannotFork("Resource temporarily unavailable")
    children.all[0].signal(signal.SIGKILL)
    await trio.sleep(60)
    assert children.regrets == []
    children.refuse = None
    await trio.sleep(LONGEST_PAUSE)
    assert len(await supervisor.gather()) == 2


async def test_shutdown_returns_when_the_last_is_gone(
    supervisor: Supervisor, diaries: Diaries, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await supervisor.start(nursery)
    async with trio.open_nursery() as leaving:
        leaving.start_soon(supervisor.shutdown, 1e6)
        for diary in diaries.all:
            await trio.sleep(100)
            assert leaving.child_tasks
            diary.empty.set()
    assert trio.current_time() == pytest.approx(200)
    assert await supervisor.gather() == {}


async def test_nobody_is_replaced_while_leaving(
    supervisor: Supervisor,
    diaries: Diaries,
    children: TaskChildren,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
) -> None:
    await supervisor.start(nursery)
    async with trio.open_nursery() as leaving:
        leaving.start_soon(supervisor.shutdown, 100)
        await trio.sleep(1)
        children.all[0].signal(signal.SIGKILL)
        await trio.sleep(50)
        assert len(diaries.all) == 2


async def test_terminate_does_not_wait(
    supervisor: Supervisor, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await supervisor.start(nursery)
    await supervisor.terminate()
    assert trio.current_time() < 1


async def test_leaving_wakes_a_place_that_waits_to_replace(
    supervisor: Supervisor,
    children: TaskChildren,
    diaries: Diaries,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
) -> None:
    await supervisor.start(nursery)
    children.all[0].signal(signal.SIGKILL)
    diaries.all[0].empty.set()
    diaries.all[1].empty.set()
    await trio.testing.wait_all_tasks_blocked()
    await supervisor.shutdown(1000)
    assert trio.current_time() < FIRST_PAUSE
