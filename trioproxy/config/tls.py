"""TLS, towards clients and towards upstreams."""

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from ssl import SSLContext
from typing import Annotated, Literal

import attrs

from trioproxy.config.marks import Invalid, Length, Matching, Name, Range
from trioproxy.config.units import Seconds
from trioproxy.tls.contexts import client_context, server_context
from trioproxy.tls.keyring import Keyring

Version = Literal["TLSv1.2", "TLSv1.3"]
Protocol = Annotated[str, Matching(r"[\x21-\x7e]{1,255}", "a protocol such as h2")]


@attrs.frozen
class Pair:
    """A certificate and its private key."""

    certificate: Annotated[Path, "PEM: the certificate, then what it was signed with"]
    private_key: Annotated[Path, "PEM, without a password"]


@attrs.frozen
class AltNameMatch:
    """A test of a subject alternative name of a peer's certificate; exactly one."""

    exact: Annotated[str | None, "The name is this"] = None
    prefix: Annotated[str | None, "The name starts so"] = None
    suffix: Annotated[str | None, "The name ends so"] = None
    regex: Annotated[re.Pattern[str] | None, "The whole name matches"] = None
    type: Annotated[
        Literal["dns", "uri", "email", "ip"] | None, "Only of names of this kind; null: of any"
    ] = None

    def __attrs_post_init__(self) -> None:
        tests = (self.exact, self.prefix, self.suffix, self.regex)
        if sum(test is not None for test in tests) != 1:
            raise Invalid("expected one of exact, prefix, suffix, regex")

    def accepts(self, kind: str, name: str) -> bool:
        """Say whether a name of this kind, as OpenSSL calls it, passes."""
        if self.type is not None and KINDS[self.type] != kind:
            return False
        if self.regex is not None:
            return self.regex.fullmatch(name) is not None
        if self.exact is not None:
            return name == self.exact
        return name.startswith(self.prefix or "") and name.endswith(self.suffix or "")


KINDS = {"dns": "DNS", "uri": "URI", "email": "email", "ip": "IP Address"}


@attrs.frozen
class Tls:
    """What both sides of TLS have in common."""

    certificate: Annotated[
        Path | None, "PEM: the certificate that is shown, then what it was signed with"
    ] = None
    private_key: Annotated[Path | None, "PEM: its key, without a password"] = None
    trusted_ca: Annotated[Path | None, "PEM: whose signature on a peer's certificate counts"] = None
    crl: Annotated[
        Path | None, "PEM: revoked certificates, of each authority in the peer's chain"
    ] = None
    match_subject_alt_names: Annotated[
        tuple[AltNameMatch, ...], "One of the names in a peer's certificate passes one of these"
    ] = ()
    alpn: Annotated[tuple[Protocol, ...], "Protocols to agree on, the preferred one first"] = ()
    minimum_version: Annotated[Version, "The oldest version that is spoken"] = "TLSv1.2"
    maximum_version: Annotated[Version, "The newest version that is spoken"] = "TLSv1.3"
    ciphers: Annotated[
        Name | None,
        "Cipher suites of TLS 1.2, as OpenSSL lists them;"
        " null: those with forward secrecy and authenticated encryption",
    ] = None

    def __attrs_post_init__(self) -> None:
        if (self.certificate is None) != (self.private_key is None):
            raise Invalid("certificate and private_key belong together", "certificate")
        if self.maximum_version < self.minimum_version:
            raise Invalid("maximum_version is less than minimum_version", "maximum_version")
        if self.crl is not None and self.trusted_ca is None:
            raise Invalid("crl needs a trusted_ca", "crl")

    @property
    def pairs(self) -> tuple[tuple[Path, Path], ...]:
        """Its certificates and their keys."""
        if self.certificate is None or self.private_key is None:
            return ()
        return ((self.certificate, self.private_key),)

    @property
    def authorities(self) -> tuple[Path, ...]:
        """The files that tell whom to trust."""
        return tuple(path for path in (self.trusted_ca, self.crl) if path is not None)

    @cached_property
    def keyring(self) -> Keyring:
        """The files, loaded; raises ValueError saying what is wrong with them.

        Once, so that workers that are forked later know each other's session tickets.
        """
        return Keyring(self.pairs, self.context, self.authorities)

    def context(self) -> SSLContext:
        """Make a context without a certificate; raises ValueError saying what will not do."""
        raise NotImplementedError

    def verify(self) -> None:
        """Look whether the files will do; raises ValueError saying what is wrong with them."""
        self.keyring.refresh()

    def admits(self, names: Iterable[tuple[str, str]]) -> bool:
        """Say whether a peer with these names, each with its kind, is the right one."""
        tests = self.match_subject_alt_names
        return not tests or any(test.accepts(kind, name) for kind, name in names for test in tests)


@attrs.frozen
class DownstreamTls(Tls):
    """TLS that ends here: clients speak it."""

    certificates: Annotated[
        tuple[Pair, ...] | None,
        Length(1),
        "Several instead of one: chosen by the name that a client asks for, else the first",
    ] = None
    require_client_certificate: Annotated[
        bool, "Who shows no certificate of a `trusted_ca` is refused"
    ] = False
    handshake_timeout: Annotated[Seconds, Range(1, 3600), "For the handshake to be done"] = 10.0

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if (self.certificate is None) == (self.certificates is None):
            raise Invalid("expected one of certificate and certificates")
        needy = "require_client_certificate" if self.require_client_certificate else ""
        needy = needy or ("match_subject_alt_names" if self.match_subject_alt_names else "")
        if needy and self.trusted_ca is None:
            raise Invalid(f"{needy} needs a trusted_ca", needy)

    @property
    def pairs(self) -> tuple[tuple[Path, Path], ...]:
        """Its certificates and their keys."""
        if self.certificates is None:
            return super().pairs
        return tuple((each.certificate, each.private_key) for each in self.certificates)

    def context(self) -> SSLContext:
        """Make a context without a certificate; raises ValueError saying what will not do."""
        return server_context(self, demand=self.require_client_certificate)


@attrs.frozen
class UpstreamTls(Tls):
    """TLS to a cluster's endpoints."""

    sni: Annotated[
        Name | None,
        "The server's name, asked for and verified; null: its host name, or else its address",
    ] = None
    verify_server: Annotated[
        bool, "Whether the server has to prove who it is; false trusts whoever answers"
    ] = True
    max_session_keys: Annotated[
        int, Range(0, 1), "Whether sessions are resumed: 1 is kept for each endpoint, or none"
    ] = 1

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if not self.verify_server and (self.trusted_ca or self.match_subject_alt_names):
            raise Invalid("without verify_server nothing is matched", "verify_server")

    @property
    def needs_name(self) -> bool:
        """Whether servers are verified by a name that is not said here."""
        return self.verify_server and not self.sni and not self.match_subject_alt_names

    def context(self) -> SSLContext:
        """Make a context without a certificate; raises ValueError saying what will not do."""
        by_name = not self.match_subject_alt_names
        return client_context(self, verify=self.verify_server, by_name=by_name)
