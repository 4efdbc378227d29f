from __future__ import annotations

import contextvars
import gc
import weakref
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioproxy.reactor.crew import RESTING, Crew

if TYPE_CHECKING:
    from trio.lowlevel import Task

said: contextvars.ContextVar[str] = contextvars.ContextVar("said")


class Job:
    """Done when it is told to be; what it saw is what it was done in."""

    def __init__(self) -> None:
        self.end = trio.Event()
        self.ended = False
        self.task: Task | None = None
        self.scope: trio.CancelScope | None = None
        self.heard = ""


async def work(job: Job, scope: trio.CancelScope) -> None:
    job.task, job.scope = trio.lowlevel.current_task(), scope
    job.heard = said.get("nothing")
    said.set("something")
    try:
        await job.end.wait()
    finally:
        job.ended = True


async def done(crew: Crew[Job], *jobs: Job) -> None:
    """Have jobs done, all at the same time."""
    for job in jobs:
        crew.put(job)
    await trio.testing.wait_all_tasks_blocked()
    for job in jobs:
        job.end.set()
    await trio.testing.wait_all_tasks_blocked()
    assert all(job.ended for job in jobs)


@pytest.fixture
def crew(nursery: trio.Nursery) -> Crew[Job]:
    return Crew(nursery, work)


async def test_a_task_does_one_job_after_the_other(crew: Crew[Job]) -> None:
    first, second = Job(), Job()
    await done(crew, first)
    await done(crew, second)
    assert first.task is second.task
    assert first.scope is second.scope


async def test_jobs_at_the_same_time_have_a_task_each(crew: Crew[Job]) -> None:
    jobs = [Job() for _ in range(3)]
    await done(crew, *jobs)
    assert len({job.task for job in jobs}) == 3
    more = [Job() for _ in range(4)]
    await done(crew, *more)
    assert {job.task for job in jobs} < {job.task for job in more}


async def test_context_variables_do_not_go_from_job_to_job(crew: Crew[Job]) -> None:
    first, second = Job(), Job()
    await done(crew, first)
    await done(crew, second)
    assert (first.heard, second.heard) == ("nothing", "nothing")


@pytest.mark.parametrize("late", [False, True])
async def test_a_task_that_was_cancelled_does_nothing_more(crew: Crew[Job], late: bool) -> None:
    """Whether its job saw that it was cancelled or was over at that moment."""
    first, second = Job(), Job()
    crew.put(first)
    await trio.testing.wait_all_tasks_blocked()
    if late:
        first.end.set()
    assert first.scope is not None
    first.scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert first.ended
    await done(crew, second)
    assert second.task is not first.task


async def test_one_that_is_cancelled_while_it_rests_is_not_asked(crew: Crew[Job]) -> None:
    first, second = Job(), Job()
    await done(crew, first)
    assert first.scope is not None
    first.scope.cancel()
    await done(crew, second)
    assert second.task is not first.task


async def test_no_more_tasks_rest_than_are_worth_it(nursery: trio.Nursery) -> None:
    async with trio.open_nursery() as own:
        crew = Crew(own, work)
        await done(crew, *[Job() for _ in range(RESTING + 10)])
        assert len(own.child_tasks) == RESTING
        own.cancel_scope.cancel()


async def test_who_rests_holds_on_to_nothing(crew: Crew[Job]) -> None:
    for _ in range(2):  # what a task begins with, and what wakes it
        job = Job()
        gone = weakref.ref(job)
        await done(crew, job)
        del job
        gc.collect()
        assert gone() is None


async def test_a_failure_that_comes_with_the_end_is_logged(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(job: Job, scope: trio.CancelScope) -> None:
        scope.cancel()
        async with trio.open_nursery() as own:
            own.start_soon(trio.sleep_forever)
            own.start_soon(partial(stumble, job))

    async def stumble(job: Job) -> None:
        try:
            await trio.sleep_forever()
        finally:
            job.ended = True
            raise ValueError("stumbled")

    job = Job()
    await done(Crew(nursery, fail), job)
    assert "stumbled" in caplog.text
