"""The channel between main and a worker, and between two generations: messages with descriptors.

One connected Unix SEQPACKET socket: packets keep their boundaries, and a peer's death is EOF, at
once and without anybody looking for pids. `Channel` is for Trio, `BlockingChannel` for the zygote,
which never runs it.
"""

from __future__ import annotations

import array
import errno
import socket
from typing import TYPE_CHECKING, Generic

import attrs
import trio

from trioproxy.restart.packets import (
    MOST_FDS,
    PIECE,
    Assembler,
    BadMessage,
    ChannelError,
    close_all,
    packets,
)
from trioproxy.restart.wire import M, Vocabulary, encode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

FD = array.array("i").itemsize
PACKET = PIECE + 1
ANCILLARY = socket.CMSG_SPACE(MOST_FDS * FD)
FULL_PAUSE = 0.01  # seconds

Ancillary = list[tuple[int, int, bytes]]


class PeerGone(ChannelError):
    """The other end is closed, or its process dead."""


@attrs.frozen
class Received(Generic[M]):
    """A message and the descriptors that came with it, which are now the receiver's."""

    message: M
    fds: tuple[int, ...] = ()


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Make the two ends of a channel; each belongs into one process alone, or EOF never comes."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Channel(Generic[M]):
    """One end of a channel in a Trio process; owns its socket."""

    def __init__(self, sock: socket.socket, hears: Vocabulary[M]) -> None:
        self._socket = trio.socket.from_stdlib_socket(sock)
        self._hears = hears
        self._assembler = Assembler()
        self._sending = trio.Lock()

    async def send(self, message: attrs.AttrsInstance, fds: Sequence[int] = ()) -> None:
        """Send one message; the descriptors stay the sender's, to close when this returns.

        Raises PeerGone or TooLarge.
        """
        async with self._sending:
            for packet, share in packets(encode(message), fds):
                await self._send_packet(packet, _ancillary(share))

    async def _send_packet(self, packet: bytes, ancillary: Ancillary) -> None:
        while True:
            try:
                await self._socket.sendmsg([packet], ancillary)
            except OSError as error:
                if error.errno != errno.ETOOMANYREFS:
                    raise PeerGone(str(error)) from error
            else:
                return
            # Too many descriptors are under way in the whole system; no event tells when fewer are.
            await trio.sleep(FULL_PAUSE)

    async def receive(self) -> Received[M]:
        """Wait for one message.

        Raises PeerGone, or BadMessage after which the channel should be closed.
        """
        while True:
            try:
                received = await self._socket.recvmsg(PACKET, ANCILLARY, socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError:
                continue  # it left with messages of ours unread; its own are still to be read
            except OSError as error:
                raise PeerGone(str(error)) from error
            message = _take(self._assembler, *received[:3])
            if message is not None:
                return _decoded(self._hears, *message)

    def close(self) -> None:
        """Close this end; the other one sees EOF."""
        self._assembler.drop()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class BlockingChannel(Generic[M]):
    """One end of a channel in a process without Trio; owns its socket."""

    def __init__(self, sock: socket.socket, hears: Vocabulary[M]) -> None:
        sock.setblocking(True)
        self._socket = sock
        self._hears = hears
        self._assembler = Assembler()

    def fileno(self) -> int:
        """For `select.poll`."""
        return self._socket.fileno()

    def send(self, message: attrs.AttrsInstance, fds: Sequence[int] = ()) -> None:
        """Send one message; the descriptors stay the sender's. Raises PeerGone or TooLarge."""
        try:
            for packet, share in packets(encode(message), fds):
                self._socket.sendmsg([packet], _ancillary(share))
        except OSError as error:
            raise PeerGone(str(error)) from error

    def receive(self) -> Received[M]:
        """Wait for one message; raises PeerGone or BadMessage."""
        while True:
            try:
                received = self._socket.recvmsg(PACKET, ANCILLARY, socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError:
                continue
            message = _take(self._assembler, *received[:3])
            if message is not None:
                return _decoded(self._hears, *message)

    def close(self) -> None:
        """Close this end; the other one sees EOF."""
        self._assembler.drop()
        self._socket.close()


def _ancillary(fds: Sequence[int]) -> Ancillary:
    if not fds:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())]


def _take(
    assembler: Assembler, packet: bytes, ancillary: Ancillary, flags: int
) -> tuple[bytes, tuple[int, ...]] | None:
    """Hand one received packet to the assembler; raises PeerGone at EOF, or BadMessage."""
    fds = [
        fd
        for level, kind, data in ancillary
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        for fd in array.array("i", data[: len(data) // FD * FD])
    ]
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        close_all(fds)
        raise BadMessage("a packet that is too large, or descriptors beyond this process's limit")
    if not packet:
        close_all(fds)
        raise PeerGone("end of file")
    return assembler.feed(packet, fds)


def _decoded(hears: Vocabulary[M], body: bytes, fds: tuple[int, ...]) -> Received[M]:
    try:
        return Received(hears.decode(body), fds)
    except BadMessage:
        close_all(fds)
        raise
