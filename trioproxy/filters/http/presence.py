"""Ends what a filter does for a client that has left before it was answered.

The router looks after the client wherever it waits. A filter may wait for anything, for a timer or
a service of its own, so the worker's sweep looks after its client.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.tools import HttpTools


class Presence:
    """Around a filter's work: where the client leaves, its connection's lifetime is cancelled.

    A client that had closed its half of the connection with the request still wants an answer, and
    one that was answered may leave.
    """

    __slots__ = ("_exchange", "_tools", "when")

    def __init__(self, exchange: Exchange, tools: HttpTools) -> None:
        self._exchange = exchange
        self._tools = tools
        self.when = 0.0  # due at every look of the sweep

    def __enter__(self) -> Self:
        if not self._exchange.connection.transport.hangup:
            self._tools.worker.sweep.timed.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tools.worker.sweep.timed.discard(self)

    def expire(self) -> None:
        """Look after the client: called by the sweep."""
        exchange = self._exchange
        if exchange.connection.transport.hangup and not exchange.complete:
            self.when = inf
            exchange.record.flags = "DC"
            self._tools.stats.downstream_rq_rx_reset.add()
            exchange.connection.lifetime.scope.cancel()
