"""Connecting to a host to check it, as the workers do: the PROXY protocol's header, then TLS."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from typing import TYPE_CHECKING, TypeAlias, cast

import trio

from trioproxy.codec.proxy_protocol import write_header
from trioproxy.tls import reasons
from trioproxy.tls.certificate import alt_names

if TYPE_CHECKING:
    from trioproxy.config.address import Address
    from trioproxy.config.cluster import Cluster

log = logging.getLogger("trioproxy.tls")

SecureStream: TypeAlias = "trio.SSLStream[trio.SocketStream]"
Stream: TypeAlias = "trio.SocketStream | SecureStream"


class NotSecure(Exception):
    """The host cannot be asked for, or is not the one that was asked for."""


class Connector:
    """Connects to the hosts of a cluster; raises ValueError where its TLS files will not do."""

    def __init__(self, cluster: Cluster) -> None:
        self._name = cluster.name
        self._tls = cluster.tls
        self._keyring = cluster.tls.keyring if cluster.tls is not None else None
        version = cluster.proxy_protocol
        self._introduction = b"" if version is None else write_header(version, None)

    def __repr__(self) -> str:
        return f"<Connector {self._name}>"

    async def connect(self, address: Address, name: str = "") -> Stream:
        """Connect to a host, known by its `name` or else its address.

        Raises OSError, trio.BrokenResourceError and NotSecure.
        """
        stream = await connect(address)
        try:
            if self._introduction:
                await stream.send_all(self._introduction)
            return await self._secure(stream, name or address.host)
        except BaseException:
            stream.socket.close()
            raise

    async def _secure(self, stream: trio.SocketStream, name: str) -> Stream:
        """Shake hands, where the cluster has TLS."""
        tls = self._tls
        if tls is None:
            return stream
        try:
            secure = trio.SSLStream(
                stream, self._context(), server_hostname=tls.sni or name, https_compatible=True
            )
        except ValueError as error:
            raise NotSecure(f"TLS: {error}") from error
        await secure.do_handshake()
        # It has the attributes of what it wraps.
        if not tls.admits(alt_names(cast("ssl.SSLObject", secure))):
            raise NotSecure("TLS: the certificate is for somebody else")
        return secure

    def _context(self) -> ssl.SSLContext:
        """Return what to shake hands with, by the files as they are now."""
        assert self._keyring is not None
        try:
            self._keyring.refresh()
        except ValueError as error:  # said once for each change
            log.error(
                "cluster %s: checks go on with the certificates before: %s", self._name, error
            )
        return self._keyring.context


async def connect(address: Address) -> trio.SocketStream:
    """Connect to `address`; raises OSError."""
    sock = trio.socket.socket(address.family, socket.SOCK_STREAM)
    try:
        await sock.connect(address.sockaddr)
        return trio.SocketStream(sock)  # which sets TCP_NODELAY
    except BaseException:
        sock.close()
        raise


def hang_up(stream: Stream) -> None:
    """Close a connection at once, without a word."""
    transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    transport.socket.close()


def agreed(stream: trio.abc.Stream) -> str | None:
    """Return the protocol that was agreed on by ALPN."""
    return stream.selected_alpn_protocol() if isinstance(stream, trio.SSLStream) else None


def reason(error: Exception) -> str:
    """Say what went wrong, in the words of the access log: `connection refused`."""
    if isinstance(error, NotSecure):
        return str(error)
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, ssl.SSLError):
        return f"TLS: {reasons.reason(cause)}"
    number = cause.errno if isinstance(cause, OSError) else None
    return (os.strerror(number) if number is not None else str(error)).lower()
