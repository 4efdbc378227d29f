"""The body of a message as it arrives on its connection."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from trioproxy.codec.body import Length, decoder
from trioproxy.codec.errors import MalformedMessage, TruncatedMessage
from trioproxy.codec.messages import Framing
from trioproxy.headers import Headers
from trioproxy.reactor.flow import Flow
from trioproxy.reactor.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trioproxy.codec.body import Body
    from trioproxy.codec.messages import Request, Response
    from trioproxy.errors import ProxyError
    from trioproxy.reactor.pipes import PipePool
    from trioproxy.reactor.pump import Progress
    from trioproxy.reactor.transport import Transport
    from trioproxy.wire.reader import Reader

BODY_SIZE = 64 * 1024  # a connection that carries bodies is read in larger pieces from then on


class WholeBody:
    """A body that is all here: the common case, which then costs next to nothing.

    It has what `WireBody` has; `size` is its length until it was taken, and after.
    """

    __slots__ = ("_data", "size")

    done = True
    left = 0

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self.size = len(data)

    def __repr__(self) -> str:
        return f"<WholeBody {self.size} bytes>"

    @property
    def trailers(self) -> Headers:
        """The fields behind it: none."""
        return Headers()

    def available(self) -> bytes:
        """Return all of it, once."""
        data, self._data = self._data, b""
        return data

    async def read(self) -> bytes:
        """Return all of it, then nothing."""
        return self.available()

    def __aiter__(self) -> WholeBody:
        return self

    async def __anext__(self) -> bytes:
        data = self.available()
        if not data:
            raise StopAsyncIteration
        return data


class ArrivingBody:
    """A body that may still be on its way; iterate over it, or `read` until it is empty.

    `size` counts the payload so far. `before_wait`, if set, is called once, before the first wait
    for the peer.
    """

    __slots__ = ("before_wait", "size")

    def __init__(self) -> None:
        self.before_wait: Callable[[], None] | None = None
        self.size = 0

    @property
    def done(self) -> bool:
        """Whether all of it was read."""
        raise NotImplementedError

    @property
    def left(self) -> int:
        """How many bytes are still to come; 0 where only the end will tell."""
        raise NotImplementedError

    @property
    def trailers(self) -> Headers:
        """The fields behind it, complete once it is done."""
        raise NotImplementedError

    def available(self) -> bytes:
        """Return the payload that is here already; raises ProxyError where it is malformed."""
        raise NotImplementedError

    async def read(self) -> bytes:
        """Return some payload, empty at the end; raises ProxyError where it is cut or malformed."""
        raise NotImplementedError

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        payload = await self.read()
        if not payload:
            raise StopAsyncIteration
        return payload


class WireBody(ArrivingBody):
    """Payload of an HTTP/1 message, decoded from a reader.

    Where the peer ends or breaks it, `closed` or `malformed` is raised.
    """

    __slots__ = ("_closed", "_decoder", "_malformed", "_reader")

    def __init__(
        self,
        reader: Reader,
        decoder: Body,
        *,
        closed: type[ProxyError],
        malformed: type[ProxyError],
    ) -> None:
        self._reader = reader
        self._decoder = decoder
        self._closed = closed
        self._malformed = malformed
        super().__init__()

    def __repr__(self) -> str:
        return f"<WireBody {self.size} bytes{', done' if self.done else ''}>"

    @property
    def done(self) -> bool:
        """Whether all of it was read."""
        return self._decoder.done

    @property
    def trailers(self) -> Headers:
        """The fields behind it, complete once it is done."""
        return self._decoder.trailers

    def available(self) -> bytes:
        """Return the payload that is here already; raises `malformed`."""
        reader = self._reader
        if not reader.pending or self._decoder.done:
            return b""
        data, reader.pending = reader.pending, b""
        return self._take(data)

    async def read(self) -> bytes:
        """Return some payload, empty at the end; raises `closed`, `malformed`."""
        payload = self.available()
        while not payload and not self._decoder.done:
            if self.before_wait is not None:
                self.before_wait()
                self.before_wait = None
            payload = self._take(await self._receive())
        return payload

    @property
    def left(self) -> int:
        """How many bytes are still to come; 0 where only the coding can tell."""
        return self._decoder.left if isinstance(self._decoder, Length) else 0

    @contextmanager
    def watching(self, other: Transport, flags: int, first: type[Exception]) -> Iterator[None]:
        """Within the block, waits here look after the other side too, as `Reader.watch` says."""
        self._reader.watch(other, flags, first)
        try:
            yield
        finally:
            self._reader.unwatch()

    def skip(self, count: int) -> None:
        """Take note that `count` of the bytes that were `left` went another way."""
        if isinstance(self._decoder, Length):
            self._decoder.skip(count)
            self.size += count

    async def pump(self, sink: Transport, pipes: PipePool, progress: Progress) -> None:
        """Have the reactor move the bytes that are `left` to `sink`, past this process.

        Raises `closed` where this side fails, OSError where the sink does.
        """
        flow = Flow(self._reader.transport, sink, limit=self.left, half_close=False)
        pump = Pump([flow], pipes, progress)
        try:
            await pump.run()
        except OSError as error:
            if pump.broken is sink:
                raise
            raise self._closed(error.strerror or str(error)) from error
        finally:
            self._reader.received += flow.moved
            self.skip(flow.moved)
        if self.left:
            raise self._closed(f"closed with {self.left} bytes of the body to come")

    async def _receive(self) -> bytes:
        self._reader.size = BODY_SIZE
        try:
            return await self._reader.receive()
        except OSError as error:
            raise self._closed(error.strerror or str(error)) from error

    def _take(self, data: bytes) -> bytes:
        decoder = self._decoder
        try:
            if data:
                payload = decoder.receive(data)
            else:
                payload = b""
                decoder.eof()
        except TruncatedMessage as truncated:
            raise self._closed(truncated.detail) from truncated
        except MalformedMessage as malformed:
            raise self._malformed(malformed.detail) from malformed
        if decoder.done:
            self._reader.pending = decoder.rest
        self.size += len(payload)
        return payload


def body_of(
    message: Request | Response,
    reader: Reader,
    *,
    closed: type[ProxyError],
    malformed: type[ProxyError],
) -> WholeBody | WireBody:
    """Return the body of a message whose head was just read; the errors are those of `WireBody`."""
    framing = message.framing
    if framing is Framing.NONE:
        return WholeBody()
    if framing is Framing.LENGTH:
        length, pending = message.content_length or 0, reader.pending
        if length == len(pending):
            reader.pending = b""
            return WholeBody(pending)  # the usual case; compiled, a slice of all would be a copy
        if length < len(pending):
            reader.pending = pending[length:]
            return WholeBody(pending[:length])
    return WireBody(reader, decoder(message), closed=closed, malformed=malformed)
