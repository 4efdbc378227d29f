"""Ending a WebSocket as its protocol says: a close frame to either side, at the end of a frame."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from trioproxy.codec.websocket import FrameTracker, close_frame
from trioproxy.reactor.flow import COPY_SIZE

if TYPE_CHECKING:
    from trioproxy.reactor.flow import Flow

TIME_FOR_IT = 1.0
"""Seconds before the end of its life at which a WebSocket is told so."""


class Closing(Exception):
    """The connection's life is almost over: say goodbye."""


class Goodbye:
    """Follows the frames of both directions, to know where the proxy may say something itself."""

    __slots__ = ("back", "code", "forth")

    def __init__(self, code: int, forth: FrameTracker, back: FrameTracker) -> None:
        self.code = code
        self.forth = forth
        self.back = back

    def __repr__(self) -> str:
        return f"<Goodbye {self.code}>"

    @property
    def frames(self) -> tuple[str, ...]:
        """Where the frames stand, for the next generation."""
        return (self.forth.state, self.back.state)

    def words(self) -> tuple[bytes, bytes]:
        """Return what to say to the upstream, and to the client."""
        mask = os.urandom(4)  # RFC 6455 section 5.3: a client's mask cannot be guessed
        return close_frame(self.code, mask), close_frame(self.code)

    def listen(self, forth: Flow, back: Flow) -> None:
        """Follow what flows to the upstream, and to the client."""
        forth.tap = self.forth.feed
        back.tap = self.back.feed

    async def say(self, forth: Flow, back: Flow) -> None:
        """Let each direction come to the end of a frame, close it, and hear its source out."""
        to_upstream, to_client = self.words()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(part, forth, self.forth, to_upstream)
            nursery.start_soon(part, back, self.back, to_client)


async def part(flow: Flow, tracker: FrameTracker, frame: bytes) -> None:
    """Close one direction, by `frame` if it can; who is gone has no need of it.

    What the source says after that is lost, but a close with unread input would reset it.
    """
    if flow.ended:
        return
    with suppress(OSError):
        await say_last(flow, tracker, frame)
    await flow.sink.finish()
    with suppress(OSError):
        while await flow.source.receive():
            pass


async def say_last(flow: Flow, tracker: FrameTracker, frame: bytes) -> None:
    """Send on what is left of a frame, then a last one; raises OSError."""
    held = bytes(flow.held)
    tracker.feed(held)
    await flow.sink.send(held)
    while not tracker.boundary:
        # A header's length shows as it comes; a payload's may be said to be anything.
        data = await flow.source.receive(min(tracker.left, COPY_SIZE) or 1)
        if not data:
            return
        tracker.feed(data)
        await flow.sink.send(data)
    await flow.sink.send(frame)
