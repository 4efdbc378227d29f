"""Messages as packets of a SEQPACKET socket and back, without the socket.

A packet is one byte of marks, then a piece of the message; file descriptors ride beside it. What
fits neither one packet nor one packet's descriptors takes several: the first of them is marked
FIRST, the last one LAST. A message whose sender gave up half way (a cancelled send) is dropped
when the next FIRST arrives, so that it never tears the one that follows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FIRST, LAST = 1, 2
PIECE = 65_536  # bytes of a message in one packet: well below what a socket buffer holds
MOST_FDS = 253  # the kernel's limit for one packet
LARGEST_MESSAGE = 8 * 2**20  # bytes
LARGEST_CREW = 4096  # file descriptors of one message


class ChannelError(Exception):
    """The channel, or what came over it, is of no use."""


class TooLarge(ChannelError):
    """A message that no receiver would take, of which nothing was sent."""


class BadMessage(ChannelError):
    """What the peer sent is not a message; the channel should be closed."""


def close_all(fds: Iterable[int]) -> None:
    """Close file descriptors that came and are not wanted."""
    for fd in fds:
        os.close(fd)


def packets(body: bytes, fds: Sequence[int]) -> Iterator[tuple[bytes, Sequence[int]]]:
    """Cut a message into packets, each with its share of the descriptors, in order.

    Raises TooLarge for what no receiver would take.
    """
    if len(body) > LARGEST_MESSAGE or len(fds) > LARGEST_CREW:
        raise TooLarge(f"a message of {len(body)} bytes with {len(fds)} descriptors is too large")
    count = max(1, -(-len(body) // PIECE), -(-len(fds) // MOST_FDS))
    for index in range(count):
        marks = (FIRST if index == 0 else 0) | (LAST if index == count - 1 else 0)
        piece = body[index * PIECE : (index + 1) * PIECE]
        yield bytes([marks]) + piece, fds[index * MOST_FDS : (index + 1) * MOST_FDS]


@attrs.define
class Assembler:
    """Puts packets together again; owns the descriptors of an incomplete message."""

    body: bytearray = attrs.field(factory=bytearray)
    fds: list[int] = attrs.field(factory=list)
    started: bool = False

    def feed(self, packet: bytes, fds: Sequence[int]) -> tuple[bytes, tuple[int, ...]] | None:
        """Take one packet; return a message and its descriptors when it was the last one.

        Raises BadMessage, with every descriptor closed, where packets make no message.
        """
        marks = packet[0]
        if marks & FIRST:
            self.drop()
            self.started = True
        self.body += packet[1:]
        self.fds += fds
        if reason := self._wrong(marks):
            self.drop()
            raise BadMessage(reason)
        if not marks & LAST:
            return None
        message = bytes(self.body), tuple(self.fds)
        self.fds = []
        self.drop()
        return message

    def drop(self) -> None:
        """Forget an incomplete message and close its descriptors."""
        close_all(self.fds)
        self.body, self.fds, self.started = bytearray(), [], False

    def _wrong(self, marks: int) -> str | None:
        if not self.started or marks & ~(FIRST | LAST):
            return "a packet that belongs to no message"
        if len(self.body) > LARGEST_MESSAGE or len(self.fds) > LARGEST_CREW:
            return "a message that is too large"
        return None
