"""Ends what a filter does for a client that has left before it was answered.

The router looks after the client wherever it waits. A filter may wait for anything, for a timer or
a service of its own, so the worker's sweep looks after its client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import trio

from trioproxy.errors import DownstreamClosed

if TYPE_CHECKING:
    from types import TracebackType

    from trioproxy.drain.sweep import Sweep
    from trioproxy.filters.exchange import Exchange


class Presence:
    """Around a filter's work: it is cancelled within a sweep of the client's leaving.

    Leaving the block raises DownstreamClosed then. A client that had closed its half of the
    connection with the request itself still wants an answer.
    """

    __slots__ = ("_exchange", "_scope", "_sweep", "when")

    def __init__(self, exchange: Exchange, sweep: Sweep) -> None:
        self._exchange = exchange
        self._sweep = sweep
        self._scope = trio.CancelScope()
        self.when = 0.0  # due at every look of the sweep

    def __enter__(self) -> Self:
        self._scope.__enter__()
        if not self._exchange.connection.transport.hangup:
            self._sweep.timed.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._sweep.timed.discard(self)
        suppressed = self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            raise DownstreamClosed("the client left")
        return suppressed

    def expire(self) -> None:
        """Look after the client; once it is answered it may leave."""
        exchange = self._exchange
        if exchange.connection.transport.hangup and not exchange.complete:
            self._scope.cancel()
