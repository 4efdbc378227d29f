"""Where TLS to a cluster's hosts begins: the handshake of a connection, and sessions to resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.errors import ConnectFailed
from trioproxy.reactor.tls import TlsTransport
from trioproxy.stats.tls import SecretStats, SslStats
from trioproxy.tls.certificate import alt_names
from trioproxy.tls.reasons import reason
from trioproxy.tls.secrets import Secret

if TYPE_CHECKING:
    from trioproxy.config.tls import UpstreamTls
    from trioproxy.reactor.transport import Transport
    from trioproxy.upstream.host import Host
    from trioproxy.upstream.tools import ClusterTools


class Origination:
    """Has the connections of a cluster speak TLS; raises ValueError if its files will not do."""

    def __init__(self, config: UpstreamTls, name: str, tools: ClusterTools) -> None:
        scope = f"cluster.{name}"
        self._config = config
        self._turnstile = tools.turnstile
        self._keyring = config.keyring
        self._stats = SslStats(tools.stats, scope, self._keyring.ciphers)
        secret = SecretStats(tools.stats, scope, "client")
        tools.secrets.add(
            Secret(
                self._keyring,
                f"cluster {name}",
                secret.ssl_context_update_by_sds.add,
                secret.key_rotation_failed.add,
            )
        )

    def __repr__(self) -> str:
        return f"<Origination {self._keyring!r}>"

    def begin(self, host: Host, transport: Transport) -> TlsTransport:
        """Return what takes the place of a transport that is connected to the host.

        Raises ConnectFailed where the host's name can be nobody's.
        """
        context = self._keyring.context
        session = host.session
        if session is not None and session[0] is not context:
            host.session = session = None  # it was agreed on with other certificates
        try:
            return TlsTransport(
                transport,
                context,
                server=False,
                server_hostname=self._config.sni or host.member.hostname or host.address.host,
                session=session[1] if session else None,
            )
        except ValueError as error:
            raise ConnectFailed(f"TLS: {error}") from error

    async def finish(self, transport: TlsTransport) -> None:
        """Shake hands; raises ConnectFailed with the reason."""
        try:
            await transport.handshake(self._turnstile)
        except OSError as error:
            self._stats.failed(error)
            raise ConnectFailed(f"TLS: {reason(error)}") from error
        self._stats.agreed(transport.tls)
        if not self._config.admits(alt_names(transport.tls)):
            self._stats.fail_verify_san.add()
            raise ConnectFailed("TLS: the certificate is for somebody else")

    def remember(self, host: Host, transport: TlsTransport) -> None:
        """Keep the session for the host's next connection; its tickets come after a while."""
        if not self._config.max_session_keys or transport.tls.version() is None:
            return  # nothing was agreed on
        session = transport.tls.session
        if session is not None and session.has_ticket:
            host.session = (transport.tls.context, session)
