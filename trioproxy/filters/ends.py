"""Bytes in both directions where one end or both are streams of HTTP/2: two tasks copy them.

Between two sockets the reactor moves them itself (`trioproxy.filters.relay`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trioproxy.errors import ProxyError, first_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.reactor.pump import Progress
    from trioproxy.reactor.transport import Transport
    from trioproxy.wire.stream import Stream

COPY_SIZE = 64 * 1024


class End:
    """One of the two."""

    async def receive(self) -> bytes:
        """Return what it says, empty at the end; raises ProxyError."""
        raise NotImplementedError

    async def send(self, data: bytes) -> None:
        """Tell it something; raises ProxyError."""
        raise NotImplementedError

    async def finish(self) -> None:
        """Tell it that nothing more will come; raises ProxyError."""
        raise NotImplementedError


class TransportEnd(End):
    """A socket, and what was received from it before; `lost` is raised where it fails."""

    def __init__(self, transport: Transport, held: bytes, lost: type[ProxyError]) -> None:
        self._transport = transport
        self._held = held
        self._lost = lost

    def __repr__(self) -> str:
        return f"<TransportEnd {self._transport}>"

    async def receive(self) -> bytes:
        """Return what it says, empty at the end."""
        held, self._held = self._held, b""
        if held:
            return held
        try:
            return await self._transport.receive(COPY_SIZE)
        except OSError as error:
            raise self._lost(error.strerror or str(error)) from error

    async def send(self, data: bytes) -> None:
        """Tell it something."""
        try:
            await self._transport.send(data)
        except OSError as error:
            raise self._lost(error.strerror or str(error)) from error

    async def finish(self) -> None:
        """Close it for writing."""
        self._transport.shutdown_write()


class StreamEnd(End):
    """A stream of HTTP/2."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __repr__(self) -> str:
        return f"<StreamEnd {self._stream}>"

    async def receive(self) -> bytes:
        """Return what it says, empty at the end."""
        return await self._stream.body.read()

    async def send(self, data: bytes) -> None:
        """Tell it something."""
        await self._stream.send(data)

    async def finish(self) -> None:
        """End the stream in this direction."""
        await self._stream.send(b"", ended=True)


async def join(client: End, upstream: End, progress: Progress) -> None:
    """Let bytes flow between both, to the end of both directions; `progress` counts them.

    Raises the ProxyError of the first one that fails.
    """
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_copy, client, upstream, lambda count: progress(count, 0))
            nursery.start_soon(_copy, upstream, client, lambda count: progress(0, count))
    except BaseExceptionGroup as group:
        failures = group.subgroup(ProxyError)
        if failures is None:
            raise
        raise first_of(failures) from None  # by itself: who cancelled us will do so again


async def _copy(source: End, sink: End, progress: Callable[[int], None]) -> None:
    while data := await source.receive():
        await sink.send(data)
        progress(len(data))
    await sink.finish()
