"""One stream of an HTTP/2 connection: what the tasks at both of its ends share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.headers import Headers
from trioproxy.reactor.bell import Bell
from trioproxy.wire.body import ArrivingBody

if TYPE_CHECKING:
    from trioproxy.errors import ProxyError
    from trioproxy.wire.multiplex import Multiplex

PIECE = 64 * 1024


class StreamBody(ArrivingBody):
    """Payload of a stream: the connection's task feeds it, another one reads it.

    What is read is acknowledged, so that the peer sends as fast as it is read: at most a stream's
    window is ever held. `ended`: no more will come, though some may still be held.
    """

    __slots__ = ("_bell", "_error", "_held", "_multiplex", "_number", "_trailers", "ended")

    def __init__(self, multiplex: Multiplex, number: int) -> None:
        super().__init__()
        self._multiplex = multiplex
        self._number = number
        self._bell = Bell()
        self._held: list[bytes] = []
        self._trailers: Headers | None = None
        self._error: ProxyError | None = None
        self.ended = False

    def __repr__(self) -> str:
        return f"<StreamBody {self.size} bytes{', done' if self.done else ''}>"

    @property
    def done(self) -> bool:
        """Whether all of it was read."""
        return self.ended and not self._held

    @property
    def whole(self) -> bool:
        """Whether all of it is here, and nothing behind it."""
        return self.ended and self._trailers is None

    @property
    def left(self) -> int:
        """Nothing that would be known: the end of the stream tells."""
        return 0

    @property
    def trailers(self) -> Headers:
        """The fields behind it, complete once it is done."""
        return self._trailers or Headers()

    def feed(self, data: bytes, *, ended: bool) -> None:
        """Hand it a piece, maybe the last one."""
        if data:
            self._held.append(data)
        self.ended = ended
        self._bell.ring()

    def end(self, trailers: Headers) -> None:
        """End it with the fields behind it."""
        self._trailers = trailers
        self.ended = True
        self._bell.ring()

    def fail(self, error: ProxyError) -> None:
        """Cut it: once what is here was read, `error` is raised."""
        if not self.ended and self._error is None:
            self._error = error
            self._bell.ring()

    def interrupt(self, error: ProxyError) -> None:
        """Raise `error` in whoever waits for it now."""
        self._bell.fail(error)

    def available(self) -> bytes:
        """Return the payload that is here already."""
        held = self._held
        if not held:
            return b""
        data = held[0] if len(held) == 1 else b"".join(held)
        self._held = []
        self.size += len(data)
        if self._multiplex.codec.acknowledge(self._number, len(data)):
            self._multiplex.wake()
        return data

    async def read(self) -> bytes:
        """Return some payload, empty at the end; raises what it was cut by."""
        while True:
            payload = self.available()
            if payload or self.ended:
                return payload
            if self._error is not None:
                raise self._error
            if self.before_wait is not None:
                self.before_wait()
                self.before_wait = None
            await self._bell.wait()


class Stream:
    """One stream, with the `body` that comes in on it; sending waits for the peer's windows.

    Once it was cut, `error` says by what; `lost` is raised where nobody has said.
    """

    __slots__ = ("_bell", "_lost", "body", "error", "multiplex", "number")

    multiplex: Multiplex

    def __init__(self, multiplex: Multiplex, number: int, lost: type[ProxyError]) -> None:
        self._lost = lost
        self.multiplex = multiplex
        self.number = number
        self.body = StreamBody(multiplex, number)
        self.error: ProxyError | None = None
        self._bell = Bell()  # for who sends

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.number}>"

    async def send(self, data: bytes, *, ended: bool = False) -> None:
        """Send a piece of the body, as fast as the peer takes it; raises what it was cut by.

        A piece that is much longer than PIECE had better be cut up.
        """
        multiplex = self.multiplex
        while True:
            if self.error is not None:
                raise self.error
            if multiplex.full:
                multiplex.ring_for_room(self._bell)
                await self._bell.wait()
                continue
            taken = multiplex.codec.send_data(self.number, data, ended=ended)
            if taken < 0:
                raise self.gone()
            multiplex.gather(taken)
            if taken == len(data):
                return
            data = data[taken:]
            if not multiplex.full:
                await self._bell.wait()

    def send_trailers(self, trailers: Headers) -> None:
        """Send the fields behind the body; raises what it was cut by, UnsafeMessage."""
        if not self.multiplex.codec.send_trailers(self.number, trailers):
            raise self.gone()
        self.multiplex.wake()

    def reset(self, code: int) -> None:
        """End it at once."""
        self.multiplex.codec.reset(self.number, code)
        self.multiplex.wake()

    def window_opened(self) -> None:
        """The peer takes more."""
        self._bell.ring()

    def fail(self, error: ProxyError) -> None:
        """It was cut: whoever waits for anything of it gets to know."""
        self.error = self.error or error
        self.body.fail(error)
        self._bell.fail(error)

    def interrupt(self, error: ProxyError) -> None:
        """Raise `error` in whoever waits for anything of it now."""
        self.body.interrupt(error)
        self._bell.fail(error)

    def gone(self) -> ProxyError:
        """Return what to raise now that it is over."""
        return self.error or self._lost("the stream was reset")
