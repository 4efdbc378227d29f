"""A downstream connection, as filters see it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import trio

from trioproxy.reactor.epoll import OUT
from trioproxy.reactor.tls import TlsTransport

if TYPE_CHECKING:
    import socket
    import ssl

    from trioproxy.codec.proxy_protocol import Ends
    from trioproxy.drain.lifetime import Lifetime
    from trioproxy.filters.handover import Inheritance
    from trioproxy.reactor.transport import Transport

LINGER = 1.0  # s, Envoy's delayed_close_timeout
LINGER_SIZE = 1 << 20
SocketAddress = tuple[str, int] | tuple[str, int, int, int] | str | bytes


class Connection:
    """One client's connection: its transport, its lifetime and where it comes from.

    `remote` and `local` are `ip:port`, `[ip]:port` or a path; `remote_ip` is the bare address,
    empty for Unix sockets. `protocol` is what the client speaks, in words. `inheritance` is what
    came with it, if another generation had it before; `moved` tells that another one has it now.
    `scheme` is what the client speaks to us, as `x-forwarded-proto` says it; `tls` knows what was
    agreed on where that is TLS, and `server_name` is the name that it asked for by TLS, as far
    as we know; `certified` is what `x-forwarded-client-cert` says of its certificate, None before
    that was asked for. `chain` is the filter chain that it is in, and `told` has the hosts and
    ports of both ends, if they are not those of its socket.
    """

    __slots__ = (
        "_forwarded_for",
        "_local",
        "certified",
        "chain",
        "id",
        "inheritance",
        "lifetime",
        "listener",
        "moved",
        "peer",
        "protocol",
        "remote",
        "scheme",
        "server_name",
        "tls",
        "told",
        "transport",
    )

    def __init__(
        self,
        transport: Transport,
        lifetime: Lifetime,
        peer: SocketAddress,
        *,
        listener: str,
        number: int,
        inheritance: Inheritance | None = None,
    ) -> None:
        self.transport = transport
        self.lifetime = lifetime
        self.peer = peer
        self.remote = address_text(peer)
        self.listener = listener
        self.protocol = "TCP"
        self.id = number
        self.inheritance = inheritance
        self.moved = False
        self.chain = ""
        self.told: tuple[str, ...] = ()
        self.scheme = b"http"
        self.server_name = ""
        self.tls: ssl.SSLObject | None = None
        self.certified: bytes | None = None
        self._local: str | None = None
        self._forwarded_for: bytes | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.listener}#{self.id} from {self.remote or 'a Unix socket'}>"

    @property
    def alpn(self) -> str | None:
        """The protocol that the client and we have agreed on by TLS, if they did."""
        return self.tls.selected_alpn_protocol() if self.tls is not None else None

    @property
    def remote_ip(self) -> str:
        """The client's bare address."""
        return self.peer[0] if isinstance(self.peer, tuple) else ""

    @property
    def forwarded_for(self) -> bytes:
        """What `x-forwarded-for` says of the client (RFC 7239 section 6: unknown)."""
        if self._forwarded_for is None:
            self._forwarded_for = self.remote_ip.encode() or b"unknown"
        return self._forwarded_for

    @property
    def local(self) -> str:
        """The address that the client connected to."""
        if self._local is None:
            self._local = address_text(self.transport.sock.getsockname())
        return self._local

    @property
    def ends(self) -> Ends | None:
        """The addresses and ports of the client and of where it connected; None of Unix sockets."""
        if not isinstance(self.peer, tuple):
            return None
        host, _, port = self.local.rpartition(":")
        host = host.strip("[]").partition("%")[0]
        return (self.remote_ip.partition("%")[0], self.peer[1]), (host, int(port))

    @property
    def local_port(self) -> int:
        """The port that the client connected to; 0 of a Unix socket."""
        _, colon, port = self.local.rpartition(":")
        return int(port) if colon and port.isdigit() else 0

    def appear(self, source: tuple[str, int], destination: tuple[str, int]) -> None:
        """Be the connection of somebody else, which whoever made it passes on."""
        self.told = (source[0], str(source[1]), destination[0], str(destination[1]))
        self.peer = source
        self.remote = address_text(source)
        self._local = address_text(destination)
        self._forwarded_for = None

    async def receive(self, size: int = 64 * 1024) -> bytes:
        """Return what the client sent, at most `size` bytes; empty at the end. Raises OSError."""
        return await self.transport.receive(size)

    async def send(self, data: bytes) -> None:
        """Send all of `data` to the client; raises OSError."""
        await self.transport.send(data)

    async def noticed(self) -> None:
        """Return when the client is to be told that the connection will be closed.

        That is when a drain comes to it. A filter that speaks a protocol of its own finishes what
        is under way, says goodbye in it, and returns; there is time until the drain's end.
        """
        await self.lifetime.wait_noticed()

    async def part(self) -> None:
        """Have TLS say that this was all, if it can be said within a second."""
        transport = self.transport
        if isinstance(transport, TlsTransport) and not transport.part():
            with trio.move_on_after(LINGER):
                while not transport.part():
                    await transport.park(OUT)

    async def linger(self) -> bool:
        """Let the client read our last words: a close with unread input would reset them.

        Ends with the client, or where it says a MiB more; returns False where it stays silent for
        a second. Raises OSError.
        """
        left: float = LINGER_SIZE if not self.transport.hangup else inf
        with trio.move_on_after(LINGER) as limit:
            await self.transport.finish()
            while left > 0 and (data := await self.transport.receive()):
                left -= len(data)
        return not limit.cancelled_caught


def address_text(address: SocketAddress) -> str:
    """Write a socket's address as the log does."""
    if isinstance(address, tuple):
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{host}:{address[1]}"
    if isinstance(address, bytes):
        address = address.decode("utf-8", "replace")
    return address.replace("\0", "@", 1)


def local_address(sock: socket.socket) -> str:
    """Where a socket of ours is bound."""
    return address_text(sock.getsockname())
