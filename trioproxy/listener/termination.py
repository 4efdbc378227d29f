"""Where TLS ends: the handshake of a client's connection, under a timeout."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from trioproxy.drain.lifetime import Stand
from trioproxy.reactor.tls import TlsTransport
from trioproxy.stats.tls import HandshakeStats, SecretStats, SslStats
from trioproxy.tls.certificate import alt_names
from trioproxy.tls.contexts import Served
from trioproxy.tls.reasons import reason
from trioproxy.tls.secrets import Secret

if TYPE_CHECKING:
    import ssl

    from trioproxy.config.tls import DownstreamTls
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.tools import Tools

log = logging.getLogger("trioproxy.listener")


class Termination:
    """Has the connections of a filter chain speak TLS; raises ValueError if its files will not do.

    `owner` is whose chain it is, for the log.
    """

    def __init__(self, config: DownstreamTls, owner: str, scope: str, tools: Tools) -> None:
        self._config = config
        self._turnstile = tools.turnstile
        self._keyring = config.keyring
        self._stats = SslStats(tools.stats, scope, self._keyring.ciphers)
        self._timeout = HandshakeStats(
            tools.stats, scope
        ).downstream_cx_transport_socket_connect_timeout
        secret = SecretStats(tools.stats, scope, "server")
        tools.secrets.add(
            Secret(
                self._keyring,
                owner,
                secret.ssl_context_update_by_sds.add,
                secret.key_rotation_failed.add,
            )
        )

    def __repr__(self) -> str:
        return f"<Termination {self._keyring!r}>"

    async def secure(self, connection: Connection) -> bool:
        """Shake hands; returns False where the client could not, or is not the right one."""
        lifetime = connection.lifetime
        lifetime.stand(Stand.STREAM, self._config.handshake_timeout)
        transport = TlsTransport(connection.transport, self._keyring.context, server=True)
        connection.transport = transport
        try:
            await transport.handshake(self._turnstile)
        except trio.Cancelled:
            if lifetime.expired and not lifetime.drained:
                self._timeout.add()
            raise
        except OSError as error:
            self._stats.failed(error)
            log.debug("%s: no TLS: %s", connection, reason(error))
            return False
        tls = transport.tls
        self._stats.agreed(tls)
        connection.tls = tls
        if isinstance(tls, Served):
            connection.server_name = tls.server_name
        connection.scheme = b"https"
        if self._config.match_subject_alt_names and not self._admits(tls):
            self._stats.fail_verify_san.add()
            return False
        return True

    def _admits(self, tls: ssl.SSLObject) -> bool:
        if tls.getpeercert(binary_form=True) is None:
            return not self._config.require_client_certificate
        return self._config.admits(alt_names(tls))
