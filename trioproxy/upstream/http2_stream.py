"""A request on an HTTP/2 connection to a host, and the response that comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.errors import ProxyError, StaleConnection, UpstreamReset
from trioproxy.reactor.bell import Bell
from trioproxy.upstream.bounded import Bounded
from trioproxy.wire.stream import Stream

if TYPE_CHECKING:
    from trioproxy.codec.messages import Response
    from trioproxy.drain.sweep import Sweep
    from trioproxy.upstream.http2 import Http2Upstream


class StreamBound(Bounded):
    """Until when a stream's task waits for the host."""

    __slots__ = ("_stream",)

    def __init__(self, sweep: Sweep, stream: UpstreamStream) -> None:
        super().__init__(sweep)
        self._stream: UpstreamStream | None = stream

    def expire(self) -> None:
        """Its time is over: called by the sweep."""
        if self._stream is not None:
            self._stream.interrupt(self.error())

    def forget(self) -> None:
        """Let go of the stream, which knows it: neither shall need a collector to be gone."""
        self._stream = None


class UpstreamStream(Stream):
    """One stream of a connection to a host; give it back by `leave`."""

    __slots__ = ("_answers", "_heads", "_heard", "bound", "upstream")

    def __init__(self, upstream: Http2Upstream, number: int) -> None:
        super().__init__(upstream.multiplex, number, UpstreamReset)
        self.upstream = upstream
        self.bound = StreamBound(upstream.connection.sweep, self)
        self._heads: list[Response] = []
        self._heard = upstream.multiplex.heard
        self._answers = Bell()

    async def response(self) -> Response:
        """Return the next response head, interim ones included; raises what it was cut by."""
        while not self._heads:
            if self.error is not None:
                raise self.error
            await self._answers.wait()
        return self._heads.pop(0)

    def answer(self, response: Response, *, ended: bool) -> None:
        """Hand it a response head."""
        self._heads.append(response)
        self.body.ended = ended
        self._answers.ring()

    def lose(self, detail: str) -> None:
        """Its connection is gone: of its own, or had it been kept until it was closed?"""
        kept = self.number > 1 and self._heard > 0
        stale = kept and self._heard == self.multiplex.heard
        self.fail(StaleConnection(detail) if stale else UpstreamReset(detail))

    def fail(self, error: ProxyError) -> None:
        """It was cut: whoever waits for anything of it gets to know."""
        super().fail(error)
        self._answers.ring()

    def interrupt(self, error: ProxyError) -> None:
        """Raise `error` in whoever waits for anything of it now."""
        super().interrupt(error)
        self._answers.fail(error)

    def leave(self, *, clean: bool) -> None:
        """Let go of it; unless it has come to its end in both directions, it is reset."""
        self.upstream.leave(self, clean=clean)
