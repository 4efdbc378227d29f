"""A client's connection that speaks TLS: to a port that is marked so."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trio

import soak.peer
from soak.peer import PIECE, Ended, Peer, describe, open_socket

if TYPE_CHECKING:
    import socket


class TlsPort(int):
    """A port where TLS is spoken."""


class SecurePeer(Peer):
    """The other end of TLS; an end without close_notify is told apart."""

    _sock: ssl.SSLSocket

    def __init__(self, sock: socket.socket) -> None:
        """Take over a non-blocking socket; `shake_hands` comes first."""
        super().__init__(sock)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        self._sock = context.wrap_socket(
            sock, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )

    async def shake_hands(self) -> None:
        """Agree on keys; raises Ended."""
        while True:
            try:
                return self._sock.do_handshake()
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self._sock)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(self._sock)
            except OSError as error:
                raise Ended(f"handshake: {describe(error)}") from None

    async def send_all(self, data: bytes) -> None:
        """Send everything; raises Ended."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(self._sock)
            except OSError as error:
                raise Ended(describe(error)) from None

    async def receive(self) -> bytes:
        """Return what comes next, never nothing; raises Ended."""
        if self._unread:
            data, self._unread = self._unread, b""
            return data
        while True:
            try:
                data = self._sock.recv(PIECE)
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self._sock)
                continue
            except OSError as error:
                raise Ended(describe(error)) from None
            if not data:
                self.parted = True
                raise Ended("close_notify")
            return data

    async def stirs(self, seconds: float) -> bool:
        """Whether anything but a session ticket comes within some time, an end included."""
        with trio.move_on_after(seconds):
            try:
                self._unread = await self.receive()
            except Ended:
                return True  # and whoever receives next is told so, too
            return True
        return False


async def connect(port: int) -> Peer:
    """Connect to a loopback port, and shake hands if it is one of TLS; raises Trouble."""
    if not isinstance(port, TlsPort):
        return await soak.peer.connect(port)
    peer = SecurePeer(await open_socket(port))
    try:
        await peer.shake_hands()
    except BaseException:
        peer.close()
        raise
    return peer
