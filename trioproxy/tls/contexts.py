"""From what an operator wants to OpenSSL contexts, safe where nothing was said."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
# TLS 1.2 with forward secrecy and authenticated encryption alone; TLS 1.3 has nothing else.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class Terms(Protocol):
    """What one side of a connection agrees to; paths are files in PEM."""

    @property
    def trusted_ca(self) -> Path | None: ...
    @property
    def crl(self) -> Path | None: ...
    @property
    def alpn(self) -> tuple[str, ...]: ...
    @property
    def ciphers(self) -> str | None: ...
    @property
    def minimum_version(self) -> str: ...
    @property
    def maximum_version(self) -> str: ...


class Served(ssl.SSLObject):
    """Our end of a client's TLS; `server_name` is what the client asked for, empty if nothing."""

    server_name = ""


def server_context(terms: Terms, *, demand: bool) -> ssl.SSLContext:
    """Return a server's context, still without a certificate.

    A client's certificate is verified where there is a `trusted_ca`, and `demand`ed or not. Raises
    ValueError saying what will not do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.sslobject_class = Served
    agree(context, terms)
    if terms.trusted_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED if demand else ssl.CERT_OPTIONAL
        trust(context, terms)
    return context


def client_context(terms: Terms, *, verify: bool, by_name: bool) -> ssl.SSLContext:
    """Return a client's context, still without a certificate.

    Verifies servers, by the name that they were called by if `by_name`, against `trusted_ca` or
    what the system trusts. Raises ValueError saying what will not do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.options |= ssl.OP_NO_RENEGOTIATION
    agree(context, terms)
    context.check_hostname = verify and by_name
    if not verify:
        context.verify_mode = ssl.CERT_NONE
    elif terms.trusted_ca is None:
        context.load_default_certs()
    else:
        trust(context, terms)
    return context


def agree(context: ssl.SSLContext, terms: Terms) -> None:
    """Set what may be agreed on."""
    context.options |= ssl.OP_NO_COMPRESSION
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.minimum_version = VERSIONS[terms.minimum_version]
    context.maximum_version = VERSIONS[terms.maximum_version]
    if terms.alpn:
        context.set_alpn_protocols(list(terms.alpn))
    try:
        context.set_ciphers(terms.ciphers or CIPHERS)
    except ssl.SSLError:
        raise ValueError(f"none of these ciphers is known: {terms.ciphers}") from None


def trust(context: ssl.SSLContext, terms: Terms) -> None:
    """Trust what `trusted_ca` has, intermediates too, unless `crl` revokes it."""
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for path in (terms.trusted_ca, terms.crl):
        if path is None:
            continue
        try:
            context.load_verify_locations(path)
        except ssl.SSLError as error:
            raise ValueError(f"{path}: {error.reason or error}") from None
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
    if terms.crl is not None:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def load_pair(context: ssl.SSLContext, certificate: Path, private_key: Path) -> None:
    """Have a context show a certificate; raises ValueError naming the file that will not do."""
    try:
        context.load_cert_chain(certificate, private_key, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"{private_key} is not the key of {certificate}") from None
        raise ValueError(f"{certificate}, {private_key}: {error.reason or error}") from None
    except OSError as error:
        raise ValueError(f"{unreadable(certificate, private_key)}: {error.strerror}") from None


def no_password() -> str:
    """Keep OpenSSL from asking at a terminal."""
    raise ValueError("a private key with a password cannot be used")


def unreadable(*paths: Path) -> Path:
    """Return the first of these files that cannot be read, else the first one."""
    for path in paths:
        try:
            path.open("rb").close()
        except OSError:
            return path
    return paths[0]
