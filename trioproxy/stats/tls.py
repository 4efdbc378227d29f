"""The statistics of TLS, under Envoy's names: of a listener, or of a cluster."""

import ssl
from collections.abc import Iterable

from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter
from trioproxy.stats.writer import Writer

VERSIONS = ("TLSv1.2", "TLSv1.3")
NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


class SslStats(Family):
    """`listener.<address>.ssl.`, `cluster.<name>.ssl.`"""

    handshake: Counter
    connection_error: Counter
    session_reused: Counter
    no_certificate: Counter
    fail_verify_no_cert: Counter
    fail_verify_error: Counter
    fail_verify_san: Counter

    def __init__(self, writer: Writer, scope: str, ciphers: Iterable[str]) -> None:
        super().__init__(writer, f"{scope}.ssl")
        names = [f"ciphers.{name}" for name in ciphers] + [f"versions.{name}" for name in VERSIONS]
        handles = writer.handles((Counter, f"{self.scope}.{name}") for name in names)
        self._agreed = dict(zip(names, handles, strict=True))

    def agreed(self, tls: ssl.SSLObject) -> None:
        """Count a handshake and what was agreed on in it."""
        self.handshake.add()
        if tls.session_reused:
            self.session_reused.add()
        if tls.getpeercert(binary_form=True) is None:
            self.no_certificate.add()
        cipher = tls.cipher()
        if cipher is not None:
            self._agreed[f"ciphers.{cipher[0]}"].add()
            self._agreed[f"versions.{tls.version()}"].add()

    def failed(self, error: OSError) -> None:
        """Count a handshake that failed."""
        if isinstance(error, ssl.SSLCertVerificationError):
            self.fail_verify_error.add()
        elif isinstance(error, ssl.SSLError) and error.reason == NO_CERTIFICATE:
            self.fail_verify_no_cert.add()
        else:
            self.connection_error.add()


class SecretStats(Family):
    """`listener.<address>.server_ssl_socket_factory.`, `cluster.<name>.client_ssl_...`"""

    ssl_context_update_by_sds: Counter  # from files, here
    key_rotation_failed: Counter

    def __init__(self, writer: Writer, scope: str, side: str) -> None:
        super().__init__(writer, f"{scope}.{side}_ssl_socket_factory")


class HandshakeStats(Family):
    """`listener.<address>.`, of handshakes."""

    downstream_cx_transport_socket_connect_timeout: Counter

    def __init__(self, writer: Writer, scope: str) -> None:
        super().__init__(writer, scope)
