"""Tasks that serve connections, or the streams of one, one after the other.

To make a task with a cancel scope, and to end both, costs Trio as much as a small request does. So
a task whose job is done rests, and the next one wakes it. As long as it is served, a connection
has task and scope to itself; context variables that were set for another are gone.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import trio
from trio.lowlevel import Abort, current_task, reschedule, wait_task_rescheduled

if TYPE_CHECKING:
    from outcome import Outcome
    from trio.lowlevel import Task

Job = TypeVar("Job")
Work = Callable[[Job, trio.CancelScope], Awaitable[None]]

log = logging.getLogger("trioproxy.listener")
RESTING = 64


class Handed(Generic[Job]):
    """A job as the outcome of a wait for one; see `Woken` of the reactor for why."""

    __slots__ = ("_job",)

    def __init__(self, job: Job) -> None:
        self._job = job

    def unwrap(self) -> Job:
        """Return the job."""
        return self._job


class Crew(Generic[Job]):
    """Tasks in `nursery`, of which each does `work` on a job, and then on another one.

    `work` is called with the job and with the scope that it is done in. A task whose scope was
    cancelled ends; beyond `most_resting` that have nothing to do, so do others.
    """

    def __init__(self, nursery: trio.Nursery, work: Work[Job], most_resting: int = RESTING) -> None:
        self._nursery = nursery
        self._work = work
        self._most_resting = most_resting
        self._resting: list[Task] = []
        self._context = contextvars.copy_context()

    def __repr__(self) -> str:
        return f"<Crew {len(self._resting)} resting>"

    def put(self, job: Job) -> None:
        """Have the job done from the next turn of the loop on."""
        if self._resting:
            task = self._resting.pop()
            task.context = self._context.copy()
            reschedule(task, cast("Outcome[Job]", Handed(job)))
        else:
            self._nursery.start_soon(self._serve, [job])

    async def _serve(self, first: list[Job]) -> None:
        try:
            with trio.CancelScope() as scope:
                await self._work(first.pop(), scope)  # who rests holds on to nothing
                while len(self._resting) < self._most_resting:
                    await self._work(await self._rest(), scope)
        except Exception:
            log.exception("a filter failed while its connection was ended")

    async def _rest(self) -> Job:
        """Wait for a job."""
        task = current_task()

        def abort(_raise_cancel: object) -> Abort:
            self._resting.remove(task)
            return Abort.SUCCEEDED

        self._resting.append(task)
        job: Job = await wait_task_rescheduled(abort)
        return job
