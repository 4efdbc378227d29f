"""A bell: one task waits for it, and whoever has news for that task rings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import outcome
from trio.lowlevel import Abort, current_task, reschedule, wait_task_rescheduled

from trioproxy.reactor.epoll import WOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.lowlevel import Task


class Bell:
    """Wakes the one task that waits; where nobody does, ringing leaves no trace.

    So whoever waits looks first whether there is need to, and looks again when it was woken.
    """

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: Task | None = None

    def __repr__(self) -> str:
        return f"<Bell {'heard' if self._task else 'unheard'}>"

    async def wait(self) -> None:
        """Return when it rings; raises what `fail` was given."""
        self._task = current_task()
        await wait_task_rescheduled(self._abort)

    def ring(self) -> None:
        """Wake the task that waits."""
        task, self._task = self._task, None
        if task is not None:
            reschedule(task, WOKEN)

    def fail(self, error: Exception) -> None:
        """Raise `error` in the task that waits."""
        task, self._task = self._task, None
        if task is not None:
            reschedule(task, outcome.Error(error))

    def _abort(self, _raise_cancel: Callable[[], object]) -> Abort:
        self._task = None
        return Abort.SUCCEEDED
