"""The pump: bytes that only flow are moved by the reactor itself, in both directions.

A task that relays is woken for every message; a pump's task parks once, and each event is served
where it is dispatched.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from trio.lowlevel import Abort, checkpoint, current_task, reschedule, wait_task_rescheduled

from trioproxy.reactor.epoll import GONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.lowlevel import Task

    from trioproxy.reactor.flow import Flow
    from trioproxy.reactor.pipes import PipePool
    from trioproxy.reactor.transport import Transport

    Progress = Callable[[int, int], None]


class Pump:
    """One flow, or one for each direction, run until all are done.

    `progress(forth, back)` is called after each turn that moved something, with the bytes that
    the first and the last flow moved in it. `broken` is the transport whose socket failed, if one
    did, and `cut` that it had not said all before.
    """

    __slots__ = (
        "_failure",
        "_interruption",
        "_pipes",
        "_progress",
        "_task",
        "broken",
        "cut",
        "flows",
    )

    def __init__(
        self, flows: list[Flow], pipes: PipePool, progress: Progress | None = None
    ) -> None:
        self.flows = flows
        self._pipes = pipes
        self._progress = progress
        self._task: Task | None = None
        self._failure: Exception | None = None
        self._interruption: Exception | None = None
        self.broken: Transport | None = None
        self.cut = False

    def __repr__(self) -> str:
        return f"<Pump {'+'.join(str(flow.moved) for flow in self.flows)} bytes>"

    async def run(self) -> None:
        """Move bytes until every flow is done; raises the OSError of a socket that failed.

        Cancelled at any moment, nothing stays registered, and the flows tell what was `moved` and
        what is `held`; another pump may go on with them.
        """
        self._attach(self)
        try:
            while not self._over:
                if self.turn():
                    await checkpoint()
                elif not self._over:
                    self._task = current_task()
                    await wait_task_rescheduled(self._abort)
        finally:
            self.flows[0].source.reactor.forget(self)
            self._attach(None)
            for flow in self.flows:
                flow.settle(self._pipes)
        try:
            if self._failure is not None:
                raise self._failure
            if self._interruption is not None and not self.done:
                raise self._interruption
        finally:
            self._failure = self._interruption = None  # else each would hold the other

    def interrupt(self, error: Exception) -> None:
        """Have `run` raise `error` as soon as it can; it may be run again.

        Not where it is done, nor where a socket has failed: then the last words still flow.
        """
        self._interruption = error
        self._finish()

    @property
    def done(self) -> bool:
        """Whether all flows are."""
        return not (self.flows[0].flag or self.flows[-1].flag)

    @property
    def _over(self) -> bool:
        return self.done or (self._interruption is not None and self._failure is None)

    def turn(self) -> bool:
        """Take a step with each flow that can; returns whether there is more to do at once."""
        forth, back = self.flows[0], self.flows[-1]
        forth_before, back_before = forth.moved, back.moved
        more = 0
        for flow in self.flows:
            if flow.at.ready & flow.flag:
                try:
                    flow.step(self._pipes)
                except OSError as error:
                    self._fail(flow, error)
                more |= flow.at.ready & flow.flag
            if flow.flag and flow.sink.ready & GONE and not flow.at.ready & flow.flag:
                flow.at = flow.sink
                self._fail(flow, BrokenPipeError(errno.EPIPE, "The peer is gone"))
        if self._progress is not None:
            self._report(self._progress, forth.moved - forth_before, back.moved - back_before)
        if not (forth.flag or back.flag):
            self._finish()
        return more != 0

    def _fail(self, flow: Flow, error: OSError) -> None:
        """A source that fails ends it all; of a sink that is gone the last words are still read."""
        if self._failure is None:
            self._failure, self.broken = error, flow.at
            self.cut = not any(each.ended for each in self.flows if each.source is flow.at)
        flow.stop()
        if flow.at is flow.source:
            self._stop()
            return
        for other in self.flows:
            if other.source is flow.sink:
                other.half_close = False  # it ends, but its peer has not finished

    def _stop(self) -> None:
        for flow in self.flows:
            flow.stop()

    def _report(self, progress: Progress, forth: int, back: int) -> None:
        if forth or back:
            try:
                progress(forth, back)
            except Exception as error:  # a bug in it ends this pump, not the reactor
                self._failure = error
                self._stop()

    def _finish(self) -> None:
        if self._task is not None:
            reschedule(self._task)
            self._task = None

    def _attach(self, pump: Pump | None) -> None:
        for flow in self.flows:
            flow.source.pump = flow.sink.pump = pump

    def _abort(self, _raise_cancel: Callable[[], object]) -> Abort:
        self._task = None
        return Abort.SUCCEEDED
