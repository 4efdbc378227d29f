"""The pump: bytes that only flow are moved by the reactor itself, in both directions.

A task that relays is woken for every message; a pump's task parks once, and each event is served
where it is dispatched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio.lowlevel import Abort, current_task, reschedule, wait_task_rescheduled

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.lowlevel import Task

    from trioproxy.reactor.flow import Flow
    from trioproxy.reactor.pipes import PipePool

    Progress = Callable[[int, int], None]


class Pump:
    """Flows that run until each is done.

    `progress(forth, back)` is called after each turn that moved something, with the bytes that
    the first and the last flow moved in it.
    """

    __slots__ = ("_failure", "_finished", "_pipes", "_progress", "_reported", "_task", "flows")

    def __init__(
        self, flows: list[Flow], pipes: PipePool, progress: Progress | None = None
    ) -> None:
        self.flows = flows
        self._pipes = pipes
        self._progress = progress
        self._reported = (0, 0)
        self._task: Task | None = None
        self._finished = False
        self._failure: OSError | None = None

    def __repr__(self) -> str:
        return f"<Pump {'+'.join(str(flow.moved) for flow in self.flows)} bytes>"

    async def run(self) -> None:
        """Move bytes until every flow is done; raises the OSError of a socket that failed.

        Cancelled at any moment, nothing stays registered and `flows` tell what was moved.
        """
        self._attach(self)
        try:
            more = self.turn()
            if not self._finished:
                if more:
                    self.flows[0].source.reactor.resume(self)
                self._task = current_task()
                await wait_task_rescheduled(self._abort)
        finally:
            self._finished = True
            self._attach(None)
            for flow in self.flows:
                flow.close(self._pipes)
        if self._failure is not None:
            raise self._failure

    def turn(self) -> bool:
        """Serve an event, or go on where the last turn stopped; returns whether there is more."""
        if self._finished:
            return False
        more = False
        done = True
        try:
            for flow in self.flows:
                if flow.stirred:
                    more |= flow.move(self._pipes)
                done &= flow.done
        except OSError as error:
            self._failure = error
            done = True
        if self._progress is not None:
            self._report(self._progress)
        if done:
            self._finish()
        return more and not done

    def _finish(self) -> None:
        self._finished = True
        if self._task is not None:
            reschedule(self._task)
            self._task = None

    def _report(self, progress: Progress) -> None:
        forth, back = self.flows[0].moved, self.flows[-1].moved
        before_forth, before_back = self._reported
        if forth != before_forth or back != before_back:
            self._reported = (forth, back)
            progress(forth - before_forth, back - before_back)

    def _attach(self, pump: Pump | None) -> None:
        for flow in self.flows:
            flow.source.pump = flow.sink.pump = pump

    def _abort(self, _raise_cancel: Callable[[], object]) -> Abort:
        self._task = None
        return Abort.SUCCEEDED
