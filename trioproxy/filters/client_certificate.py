"""`x-forwarded-client-cert`: the certificate that a client has shown, for whoever comes next.

Envoy's header, element for element, but for `By` and `Chain`: the standard library does not tell
which of our certificates was shown, nor what the client's was verified with.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from trioproxy.tls.certificate import alt_names

if TYPE_CHECKING:
    from trioproxy.config.client_certificate import ClientCertificateDetails, Forwarding
    from trioproxy.filters.connection import Connection
    from trioproxy.headers import Field

    Subject = tuple[tuple[tuple[str, str], ...], ...]

CLIENT_CERTIFICATE = b"x-forwarded-client-cert"
SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
BEFORE_QUOTE = re.compile(r'(\\*)("|$)')
SPECIAL = frozenset(',+"\\<>;')


class ClientCertificateForwarder:
    """Sets, appends to, leaves or takes out the header, as is configured."""

    def __init__(self, mode: Forwarding, details: ClientCertificateDetails) -> None:
        self._mode = mode
        self._details = details
        self.writes = mode in {"append_forward", "sanitize_set"}

    def __repr__(self) -> str:
        return f"<ClientCertificateForwarder {self._mode}>"

    def mark(self, fields: list[Field], connection: Connection) -> None:
        """Change the header of one request; only who has shown a certificate may have one."""
        if self._mode == "always_forward_only":
            return
        own = self._element(connection)
        if self._mode == "forward_only" and own:
            return
        named = [value for name, value in fields if name == CLIENT_CERTIFICATE]
        if named:
            fields[:] = [field for field in fields if field[0] != CLIENT_CERTIFICATE]
        if own and self.writes:
            before = named if self._mode == "append_forward" else []
            fields.append((CLIENT_CERTIFICATE, b",".join([*before, own])))

    def _element(self, connection: Connection) -> bytes:
        """Return what is said of the client's certificate, empty where it has shown none."""
        if connection.certified is None:
            connection.certified = self._describe(connection.tls)
        return connection.certified

    def _describe(self, tls: ssl.SSLObject | None) -> bytes:
        encoded = tls.getpeercert(binary_form=True) if tls is not None else None
        if tls is None or encoded is None:
            return b""
        details, parts = self._details, [f"Hash={hashlib.sha256(encoded).hexdigest()}"]
        if details.cert:
            parts.append(f'Cert="{quote(ssl.DER_cert_to_PEM_cert(encoded), safe="")}"')
        if details.subject:
            parts.append(f'Subject="{subject(tls)}"')
        for kind, wanted in (("URI", details.uri), ("DNS", details.dns)):
            parts += [f"{kind}={quoted(n)}" for k, n in alt_names(tls) if wanted and k == kind]
        return ";".join(parts).encode("latin-1", "replace")


def subject(tls: ssl.SSLObject) -> str:
    """Write a verified peer's subject as RFC 2253 does: it can stand between quotes."""
    names = cast("Subject", (tls.getpeercert() or {}).get("subject", ()))
    written = ("+".join(f"{SHORT.get(k, k)}={escaped(v)}" for k, v in part) for part in names)
    return printable(",".join(reversed(list(written))))


def escaped(value: str) -> str:
    """Escape what RFC 2253 section 2.4 gives a meaning."""
    text = "".join(f"\\{char}" if char in SPECIAL else char for char in value)
    text = f"\\{text}" if text[:1] in {"#", " "} else text
    return f"{text[:-1]}\\ " if len(text) > 1 and text.endswith(" ") else text


def quoted(value: str) -> str:
    """Put a value between quotes where the header gives one of its characters a meaning."""
    value = printable(value)
    if not set(value) & set(',;="'):
        return value
    return f'"{BEFORE_QUOTE.sub(_doubled, value)}"'


def _doubled(found: re.Match[str]) -> str:
    """Escape a quote, and the backslashes before it: some read those as escapes, too."""
    slashes, quote = found.groups()
    return slashes * 2 + (f"\\{quote}" if quote else "")


def printable(value: str) -> str:
    """Leave out what would end a header field."""
    return "".join(char for char in value if char.isprintable())
