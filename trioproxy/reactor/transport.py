"""A transport: one non-blocking socket registered in the reactor, used by one task at a time."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
from typing import TYPE_CHECKING

import outcome
from trio.lowlevel import (
    Abort,
    checkpoint,
    current_task,
    reschedule,
    wait_task_rescheduled,
)

from trioproxy.reactor.epoll import GONE, HANGUP, IN, OUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.lowlevel import Task

    from trioproxy.reactor.epoll import Pumping, Reactor

RECEIVE_SIZE = 16 * 1024
TURNS_BEFORE_YIELD = 16
LINGER_RESET = struct.pack("ii", 1, 0)
CLOSE_WAIT = b"\x08"  # tcpi_state, the first byte of TCP_INFO: the peer has sent FIN
# As an int: the enumeration that `socket.socket.family` returns costs more than its use here.
family_of = socket.SocketType.family.__get__


class Transport:
    """A stream socket whose readiness the reactor reports.

    `ready` holds the sticky EPOLLIN and EPOLLOUT flags, `hangup` that the peer will send no more
    or is gone, `wary` that a short read no longer means that nothing is left. One task may wait
    at a time, and beside it one that waits for OUT alone; OSError of the socket comes through.
    Where it is `bare`, what the socket carries is what is sent and received.

    `on_hangup` is called by the reactor with each event in which the peer is gone, and with the
    one that brings its FIN, unless `hangup` told of that before.
    """

    __slots__ = (
        "bare",
        "fd",
        "hangup",
        "interest",
        "on_hangup",
        "partner",
        "patience",
        "pump",
        "reactor",
        "ready",
        "shared",
        "sock",
        "waiter",
        "wary",
        "writer",
    )

    def __init__(self, reactor: Reactor, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.fd = sock.fileno()
        self.bare = True
        self.ready = IN | OUT
        self.hangup = False
        self.shared = False
        self.on_hangup: Callable[[int], None] | None = None
        # On a Unix socket a read also stops behind a message that carried descriptors.
        self.wary = family_of(sock) == socket.AF_UNIX
        self.interest = 0
        self.waiter: Task | None = None
        self.writer: Task | None = None
        self.partner: Transport | None = None
        self.pump: Pumping | None = None
        self.patience = TURNS_BEFORE_YIELD
        self.reactor = reactor
        reactor.register(self)

    def __repr__(self) -> str:
        state = "closed" if self.fd < 0 else "hung up" if self.hangup else "open"
        return f"<Transport fd {self.fd} {state}>"

    @property
    def closed(self) -> bool:
        """Whether `close` or `detach` was called."""
        return self.fd < 0

    async def receive(self, size: int = RECEIVE_SIZE) -> bytes:
        """Return what has arrived, at most `size` bytes; empty at the end of the stream."""
        if self.patience <= 0:
            await self.give_way()
        while True:
            if self.ready & IN:
                data = self.receive_nowait(size)
                if data is not None:
                    return data
            await self.park(IN)

    def receive_nowait(self, size: int = RECEIVE_SIZE) -> bytes | None:
        """Like `receive`, but None where nothing has arrived yet."""
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            self.ready &= ~IN
            return None
        if not data:
            self.hangup = self.wary = True
        elif len(data) < size and not self.wary:
            self.ready &= ~IN
        self.patience -= 1
        return data

    async def send(self, data: bytes | memoryview) -> None:
        """Send everything; cancelled midway, an unknown part of it has been sent."""
        sent = self.send_nowait(data)
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        while rest:
            await self.park(OUT)
            sent = self.send_nowait(rest)
            rest = rest[sent:]

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Send what the kernel takes now; returns how many bytes that was.

        Less than everything means that EAGAIN was seen: OUT is cleared, `park(OUT)` may follow.
        """
        total = 0
        try:
            total = self.sock.send(data)
            while total < len(data):
                total += self.sock.send(memoryview(data)[total:])
        except BlockingIOError:
            self.ready &= ~OUT
        return total

    def send_both_nowait(self, head: bytes, body: bytes | memoryview) -> int:
        """Like `send_nowait`, of two pieces, without joining them first."""
        try:
            sent = self.sock.sendmsg((head, body))
        except BlockingIOError:
            self.ready &= ~OUT
            return 0
        rest = len(head) + len(body) - sent
        if not rest:
            return sent
        if sent < len(head):
            return sent + self.send_nowait(head[sent:] + body)
        return sent + self.send_nowait(memoryview(body)[-rest:])

    async def park(self, interest: int) -> None:
        """Park the calling task until one of the `interest` flags is reported.

        Park only after EAGAIN has cleared the flag, or there may be no edge left to wake it.
        """
        if self.ready & interest:
            return
        self.patience = TURNS_BEFORE_YIELD
        if interest == OUT:
            self.writer = current_task()
            await wait_task_rescheduled(self._abort_writer)
        else:
            self.interest = interest
            self.waiter = current_task()
            await wait_task_rescheduled(self._abort_park)

    async def park_with(self, interest: int, other: Transport, other_interest: int) -> None:
        """Park until either transport reports a flag of its interest."""
        if self.ready & interest or other.ready & other_interest:
            return
        self.partner, other.partner = other, self
        self.interest, other.interest = interest, other_interest
        self.waiter = other.waiter = current_task()
        self.patience = TURNS_BEFORE_YIELD
        await wait_task_rescheduled(self._abort_park)

    def interrupt(self, error: Exception) -> bool:
        """Raise `error` in the tasks parked here; returns whether there were any."""
        parked = []
        if self.waiter is not None:
            parked.append(self.unpark())
        if self.writer is not None:
            parked.append(self.unpark_writer())
        for task in parked:
            reschedule(task, outcome.Error(error))
        return bool(parked)

    def alarm(self, event: int) -> int:
        """Note a hang-up or urgent data; returns the event with what it makes ready."""
        self.wary = True
        if event & HANGUP:
            if self.on_hangup is not None and (event & GONE or not self.hangup):
                self.on_hangup(event)
            self.hangup = True
            event |= IN
        return event | OUT if event & GONE else event

    def look_ahead(self) -> None:
        """Look whether FIN has come behind what was read: `hangup` tells then."""
        try:
            if family_of(self.sock) == socket.AF_UNIX:
                self.hangup = self.hangup or not self.sock.recv(1, socket.MSG_PEEK)
            else:  # half the price of an exception for each connection that stays open
                state = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
                self.hangup = self.hangup or state == CLOSE_WAIT
        except OSError:
            return  # nothing there, or a reset: the reactor will tell

    def unread(self) -> int:
        """Return how many bytes have arrived that nobody has read; raises OSError."""
        count = bytearray(4)
        fcntl.ioctl(self.fd, termios.FIONREAD, count)
        return int.from_bytes(count, sys.byteorder)

    def unpark(self) -> Task:
        """Forget the waiting task, here and at the partner of a double wait, and return it."""
        task = self.waiter
        assert task is not None
        self.waiter = None
        if self.partner is not None:
            self.partner.waiter = self.partner.partner = None
            self.partner = None
        return task

    def unpark_writer(self) -> Task:
        """Forget the task that waits for OUT alone, and return it."""
        task, self.writer = self.writer, None
        assert task is not None
        return task

    def _abort_writer(self, _raise_cancel: Callable[[], object]) -> Abort:
        self.writer = None
        return Abort.SUCCEEDED

    def _abort_park(self, _raise_cancel: Callable[[], object]) -> Abort:
        self.unpark()
        return Abort.SUCCEEDED

    async def give_way(self) -> None:
        """Let the others run: a peer that is always ready must not starve them.

        Due where `patience` has run out, before a read: cancelled here, nothing is lost.
        """
        self.patience = TURNS_BEFORE_YIELD
        await checkpoint()

    def shutdown_write(self) -> bool:
        """Send FIN; the peer may still send. Quiet where the connection is already gone.

        Returns False where something has to be said first that the kernel does not take now: OUT is
        cleared, and FIN is to be sent once it is set.
        """
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.hangup = True
        return True

    async def finish(self) -> None:
        """Send FIN, when what comes before it was sent."""
        while not self.shutdown_write():
            await self.park(OUT)

    def detach(self) -> socket.socket:
        """Leave the reactor; the caller owns the socket from here on."""
        self.reactor.unregister(self)
        self.fd = -1
        return self.sock

    def hand_on(self) -> socket.socket:
        """Leave the socket, registered as it is, to the transport that is made of it next."""
        self.fd = -1
        return self.sock

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        if self.fd >= 0:
            self.reactor.unregister(self)
            self.fd = -1
            self.on_hangup = None
            self.sock.close()

    def abort(self) -> None:
        """Close with a reset, so that the peer does not take a cut message for a whole one.

        If it is `shared`, another process may go on with it: then it is only closed here.
        """
        if self.fd >= 0 and not self.shared:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self.close()
