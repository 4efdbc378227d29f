"""Whether the other end of an HTTP/2 connection is still there: a PING where it has been silent."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.drain.sweep import Sweep
    from trioproxy.stats.handles import Counter
    from trioproxy.wire.multiplex import Multiplex

PAYLOAD = b"are you?"


class KeepAlive:
    """The sweep watches `when`; after `interval` seconds of silence there is a PING.

    Where nothing at all is heard within `timeout` seconds of it, the connection's task gets an
    OSError raised, and `lost` counts that.
    """

    __slots__ = (
        "_asked",
        "_heard",
        "_interval",
        "_lost",
        "_multiplex",
        "_sweep",
        "_timeout",
        "when",
    )

    def __init__(
        self, multiplex: Multiplex, sweep: Sweep, interval: float, timeout: float, lost: Counter
    ) -> None:
        self._multiplex = multiplex
        self._sweep = sweep
        self._interval = interval or inf
        self._timeout = timeout
        self._lost = lost
        self._asked = False
        self._heard = -1  # as it stood at the last look
        self.when = inf

    def __repr__(self) -> str:
        return f"<KeepAlive every {self._interval} s{', asked' if self._asked else ''}>"

    def begin(self) -> None:
        """Watch it, if that is wanted, until `end`."""
        if self._interval < inf:
            self._sweep.timed.add(self)
            self._wait(self._interval)

    def end(self) -> None:
        """Watch it no more."""
        self._sweep.timed.discard(self)

    def expire(self) -> None:
        """It has been long enough: called by the sweep."""
        multiplex = self._multiplex
        if multiplex.heard != self._heard:
            self._heard = multiplex.heard
            self._asked = False
            self._wait(self._interval)
        elif not self._asked:
            self._asked = True
            multiplex.codec.ping(PAYLOAD)
            multiplex.wake()
            self._wait(self._timeout)
        elif multiplex.transport.interrupt(TimeoutError("a PING was not answered")):
            self._lost.add()
            self.when = inf

    def _wait(self, seconds: float) -> None:
        self.when = self._sweep.later(seconds)
        self._sweep.hurry(self.when)
