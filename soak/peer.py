"""One connection of a client or the origin: a non-blocking socket, tried before waited for."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING, Self

import trio

from soak.messages import Malformed, body_of, split_head

if TYPE_CHECKING:
    from soak.messages import Chunked, Head, Sized

HOST = "127.0.0.1"
PIECE = 64 * 1024


class Trouble(Exception):
    """What a client ran into; the text says what it saw."""


class Ended(Trouble):
    """EOF or RST in the middle of something."""


class Silent(Ended):
    """EOF or RST where an answer should have begun."""


class Wrong(Trouble):
    """No connection or answer came, or it is not the right one."""


class Peer:
    """The other end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a non-blocking socket."""
        self._sock = sock
        self._unread = b""
        self.parted = False  # the end was said, not only made
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self._sock.close()

    async def send_all(self, data: bytes) -> None:
        """Send everything; raises Ended."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sock)
            except OSError as error:
                raise Ended(describe(error)) from None

    def finish(self) -> None:
        """Say no more, but listen."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    async def receive(self) -> bytes:
        """Return what comes next, never nothing; raises Ended."""
        if self._unread:
            data, self._unread = self._unread, b""
            return data
        while True:
            try:
                data = self._sock.recv(PIECE)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._sock)
                continue
            except OSError as error:
                raise Ended(describe(error)) from None
            if not data:
                raise Ended("EOF")
            return data

    async def head(self) -> Head:
        """Return the next message's head; raises Silent where none begins, Ended and Wrong."""
        data = b""
        while True:
            try:
                data += await self.receive()
                found = split_head(data)
            except Ended as ended:
                raise ended if data else Silent(str(ended)) from None
            except Malformed as malformed:
                raise Wrong(str(malformed)) from None
            if found:
                head, self._unread = found
                return head

    async def payload(self, body: Sized | Chunked) -> bytes:
        """Return what comes next of a body that is not done; raises Ended and Wrong."""
        try:
            return body.feed(await self.receive())
        except Malformed as malformed:
            raise Wrong(str(malformed)) from None

    async def whole_body(self, head: Head) -> bytes:
        """Return all of a message's body; raises Ended and Wrong."""
        body, whole = body_of(head), b""
        while not body.done:
            whole += await self.payload(body)
        return whole

    async def ask(self, request: bytes) -> tuple[Head, bytes]:
        """Send a request and return the whole response; raises Silent, Ended and Wrong."""
        try:
            await self.send_all(request)
        except Ended as ended:
            raise Silent(f"{ended} while sending") from None
        head = await self.head()
        return head, await self.whole_body(head)

    async def stirs(self, seconds: float) -> bool:
        """Whether anything, an end included, comes within some time on an idle connection."""
        if self._unread:
            return True
        with trio.move_on_after(seconds):
            await trio.lowlevel.wait_readable(self._sock)
            return True
        return False


def describe(error: OSError) -> str:
    """The word for how a connection ended."""
    return {errno.ECONNRESET: "RST", errno.EPIPE: "EPIPE"}.get(error.errno or 0, str(error))


async def open_socket(port: int) -> socket.socket:
    """Connect to a loopback port; raises Wrong where that is refused."""
    sock = socket.socket()
    try:
        sock.setblocking(False)
        code = sock.connect_ex((HOST, port))
        if code == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise Wrong(f"connect: {os.strerror(code)}")
    except BaseException:
        sock.close()
        raise
    return sock


async def connect(port: int) -> Peer:
    """Connect to a loopback port in plaintext; raises Wrong where that is refused."""
    return Peer(await open_socket(port))
