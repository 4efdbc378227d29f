"""A transport that speaks TLS: what a task sends and receives is plaintext, the socket has none.

OpenSSL works on memory here, and the socket stays the reactor's. That takes one system call to
receive a record, where OpenSSL on the socket takes two and a failed third one: 3 us a request
instead of 5. It also keeps the contract of a `Transport` in our hands:

- `ready` has IN as long as there may be plaintext: in the kernel, in a record that has come and was
  not decrypted, or in one that was decrypted and not taken. epoll tells of the first kind alone.
- What was encrypted has to be sent, whoever asked for it. So a piece counts as sent when its last
  ciphertext was; until then the caller is told less, and hands the same bytes in again.
- The end is a close_notify, and goes out before FIN; a server takes FIN alone for the end as well,
  a client does not: what it has read may have been cut short.
- There is no way past the process: what flows is copied, and the connection never moves to another.
"""

from __future__ import annotations

import errno
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from trioproxy.reactor.epoll import IN, OUT
from trioproxy.reactor.transport import RECEIVE_SIZE, Transport

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

OVERHEAD = 1024  # bytes beside the plaintext, so that a whole record comes at once
PIECE = 16 * 1024  # a record: OpenSSL keeps room for the longest piece that it was ever given
CUT_SHORT = "UNEXPECTED_EOF_WHILE_READING"
MOST_IN_VAIN = 128 * 1024
"""Bytes that may come without any plaintext in them, and answers that may wait to be read."""


class TlsTransport(Transport):
    """TLS in the place of a `plain` transport; `handshake` comes before anything else.

    A client names the server in `server_hostname` and may resume a `session`. `tls` knows what was
    agreed on. The context must not have OP_IGNORE_UNEXPECTED_EOF set. Raises ValueError for a name
    that none can have; `plain` stays as it is then.
    """

    __slots__ = (
        "_early",
        "_ended",
        "_held",
        "_incoming",
        "_outgoing",
        "_owed",
        "_parted",
        "_server",
        "_unsent",
        "_vain",
        "tls",
    )

    def __init__(
        self,
        plain: Transport,
        context: ssl.SSLContext,
        *,
        server: bool,
        server_hostname: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(
            incoming,
            outgoing,
            server_side=server,
            server_hostname=server_hostname,
            session=session,
        )
        super().__init__(plain.reactor, plain.hand_on())
        self.hangup, self.wary = plain.hangup, plain.wary
        self.bare = False
        self.tls = tls
        self._server = server
        self._incoming, self._outgoing = incoming, outgoing
        self._early = b""  # plaintext that was read before anyone asked for it
        self._held = False  # something was received that may yield plaintext
        self._ended = False
        self._unsent: bytes | memoryview = b""
        self._owed = 0  # bytes of plaintext that are in `_unsent`
        self._parted = True  # nothing is to be said any more, or not yet
        self._vain = 0  # bytes that have come since the last plaintext

    def __repr__(self) -> str:
        agreed = self.tls.version() or "nothing agreed on"
        return super().__repr__().replace("<Transport", f"<TlsTransport {agreed},")

    @property
    def alpn(self) -> str | None:
        """The protocol that both sides have agreed on, if they did."""
        return self.tls.selected_alpn_protocol()

    async def handshake(self, turnstile: AbstractAsyncContextManager[object]) -> None:
        """Agree on keys, each computation within `turnstile`; raises OSError.

        An SSLError was told to the peer, and says the reason.
        """
        done = False
        if self._server:
            await self._hear()
        while not done:
            async with turnstile:
                done = self._compute()
            if not done:
                await self._say()
                await self._hear()
        if not (self._server and self.tls.version() == "TLSv1.3"):
            await self._say()  # else it is only tickets, which go with what is said first
        self.ready |= IN  # more may have come with its end
        self._parted = False
        self._vain = 0

    async def _say(self) -> None:
        while not self._flush():
            await self.park(OUT)

    async def _hear(self) -> None:
        while not self._fill():
            await self.park(IN)

    def _compute(self) -> bool:
        """Go on with the handshake; returns whether it is complete."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._collect()
            return False
        except ssl.SSLError:
            self._tell()
            raise
        self._collect()
        return True

    def receive_nowait(self, size: int = RECEIVE_SIZE) -> bytes | None:
        """Return plaintext; None where none has arrived yet. Raises OSError."""
        self.patience -= 1
        if self._early:
            data, self._early = self._early[:size], self._early[size:]
            return data
        while not self._ended and (self._held or self._fill(size)):
            decrypted = self._decrypt(size)
            if decrypted is not None:
                return decrypted
        return b"" if self._ended else None

    def _decrypt(self, size: int) -> bytes | None:
        """Return plaintext of what has come, empty at the end, or None where there is none."""
        try:
            data = self.tls.read(size)
            self._vain = 0
        except ssl.SSLWantReadError:  # a part of a record, or one that carries nothing of ours
            data = None
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLError as error:
            if error.reason != CUT_SHORT:
                self._tell()
                raise
            data = self._cut_short()
        if self._outgoing.pending:
            self._answer()
        if data == b"":
            self._ended = self.hangup = self.wary = True
            return data
        self._held = data is not None and bool(self._incoming.pending or self.tls.pending())
        if self._held:
            self.ready |= IN
        return data

    def _answer(self) -> None:
        """Send what OpenSSL says for itself; who asks for it has to read it."""
        self._collect()
        if not self._flush() and len(self._unsent) > MOST_IN_VAIN:
            raise ConnectionAbortedError(errno.ECONNABORTED, "asks for more than it reads")

    def _cut_short(self) -> bytes:
        self._ended = True
        if self._server:
            return b""
        raise ConnectionResetError(errno.ECONNRESET, "closed without close_notify")

    def _fill(self, size: int = RECEIVE_SIZE) -> bool:
        """Take in what the kernel has; returns False where that is nothing new."""
        if not self.ready & IN:
            return False
        size = min(size, RECEIVE_SIZE) + OVERHEAD
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            self.ready &= ~IN
            return False
        if data:
            self._vain += len(data)
            if self._vain > MOST_IN_VAIN:
                raise ConnectionAbortedError(errno.ECONNABORTED, "says nothing at length")
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
            self.hangup = self.wary = True
        if len(data) < size and not self.wary:
            self.ready &= ~IN
        self._held = True
        return True

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Send what the kernel takes now; returns how many bytes of `data` are all sent.

        Whoever is told less goes on with the next byte: some after it may be encrypted already.
        """
        total, length = 0, len(data)
        while total < length:
            if not self._owed:
                whole = not total and length <= PIECE
                piece = data if whole else memoryview(data)[total : total + PIECE]
                self._owed = self.tls.write(piece)
                self._collect()
            if not self._flush():
                break
            taken = min(self._owed, length - total)
            total += taken
            self._owed -= taken
        return total

    def send_both_nowait(self, head: bytes, body: bytes | memoryview) -> int:
        """Like `send_nowait`, of two pieces."""
        return self.send_nowait(b"".join((head, body)))

    def _collect(self) -> None:
        """Take what OpenSSL wants to be sent."""
        data = self._outgoing.read()
        self._unsent = bytes(self._unsent) + data if self._unsent else data

    def _flush(self) -> bool:
        """Send ciphertext; returns whether there is none left, else OUT is cleared."""
        unsent = self._unsent
        try:
            while unsent:
                sent = self.sock.send(unsent)
                unsent = memoryview(unsent)[sent:] if sent < len(unsent) else b""
        except BlockingIOError:
            self.ready &= ~OUT
        self._unsent = unsent
        return not unsent

    def look_ahead(self) -> None:
        """Look whether the end is right behind what was read: `hangup` tells then."""
        if self._early or self.hangup:
            return
        self.ready |= IN
        with suppress(OSError):  # a reset: the reactor will tell
            self._early = self.receive_nowait() or b""
        if self._early:
            self.ready |= IN

    def unread(self) -> int:
        """Return how many bytes have arrived that nobody has read, at most; raises OSError."""
        here = len(self._early) + self._incoming.pending + self.tls.pending()
        return here + super().unread()

    def shutdown_write(self) -> bool:
        """Say close_notify, then send FIN; the peer may still send."""
        return self.part() and super().shutdown_write()

    def part(self) -> bool:
        """Say close_notify, unless all was said; returns whether the kernel has taken it."""
        if not self._parted and not self._owed:
            self._say_goodbye()
        try:
            return self.fd < 0 or self._flush()
        except OSError:
            return True

    def _say_goodbye(self) -> None:
        with suppress(OSError):
            # OpenSSL looks for the peer's at once, and would lose what stands before it.
            while self._held and not self._ended and (data := self._decrypt(PIECE)):
                self._early += data
            if self._early:
                self.ready |= IN
            self.tls.unwrap()
        self._parted = True
        self._collect()

    def _tell(self) -> None:
        """Send the last that OpenSSL has to say, if the kernel takes it."""
        self._parted = True
        self._collect()
        with suppress(OSError):
            self._flush()

    def close(self) -> None:
        """Say close_notify and close the socket; a second call does nothing."""
        if self.fd >= 0:
            self.part()
            super().close()

    def abort(self) -> None:
        """Close with a reset and without a close_notify: what was said is not all."""
        self._parted = True
        super().abort()
