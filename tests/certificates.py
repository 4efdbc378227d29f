"""A certificate authority for a test run, what it signs, and contexts of who trusts it."""

from __future__ import annotations

import itertools
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

if TYPE_CHECKING:
    from pathlib import Path

    Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NOW = datetime.now(UTC)
PEM = serialization.Encoding.PEM


@attrs.frozen
class Pair:
    """The files of a certificate and its private key."""

    certificate: Path
    private_key: Path


class Authority:
    """Signs certificates; `path` is its own, for those who trust it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = named("authority")
        self.path = directory / "authority.pem"
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        own = (
            self._builder(self._name, self._key, NOW + timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        self.path.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(PEM))

    def _builder(self, subject: x509.Name, key: Key, until: datetime) -> x509.CertificateBuilder:
        ours = self._key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(NOW, until) - timedelta(days=1))
            .not_valid_after(until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ours), False)
        )

    def issue(
        self, *names: str, key: str = "ECDSA", days: float = 30.5, to: Pair | None = None
    ) -> Pair:
        """Sign a certificate for host names, addresses or URIs; `key` is ECDSA or RSA.

        It expires in so many `days`. It is written `to` the files of another, or to new ones.
        """
        private = rsa.generate_private_key(65537, 2048) if key == "RSA" else None
        own: Key = private or ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([general(name) for name in names])
        leaf = (
            self._builder(named(names[0]), own, NOW + timedelta(days=days))
            .add_extension(alternative, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        stem = f"leaf-{next(self._numbers)}"
        pair = to or Pair(self._directory / f"{stem}.pem", self._directory / f"{stem}.key")
        pair.certificate.write_bytes(leaf.public_bytes(PEM))
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pair.private_key.write_bytes(own.private_bytes(PEM, *form))
        return pair

    def revoke(self, *pairs: Pair) -> Path:
        """Write a list that revokes these certificates."""
        listed = x509.CertificateRevocationListBuilder(self._name, NOW, NOW + timedelta(days=1))
        for pair in pairs:
            number = x509.load_pem_x509_certificate(pair.certificate.read_bytes()).serial_number
            listed = listed.add_revoked_certificate(
                x509.RevokedCertificateBuilder(number, NOW).build()
            )
        path = self._directory / f"revoked-{next(self._numbers)}.pem"
        path.write_bytes(listed.sign(self._key, hashes.SHA256()).public_bytes(PEM))
        return path

    def server(self, pair: Pair) -> ssl.SSLContext:
        """Return the context of a server that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.private_key)
        return context

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        """Return the context of a client that trusts us, with a certificate of its own or none."""
        context = ssl.create_default_context(cafile=str(self.path))
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.private_key)
        return context


def furnish(directory: Path, authority: Authority) -> None:
    """Put certificates where the examples in a directory expect them."""
    place = directory / "certificates"
    place.mkdir()
    site = Pair(place / "site.pem", place / "site.key")
    authority.issue("example.org", "*.example.org", to=site)
    (place / "ca.pem").write_bytes(authority.path.read_bytes())


def named(name: str) -> x509.Name:
    """Return a subject."""
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Tests"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
        ]
    )


def general(name: str) -> x509.GeneralName:
    """Return a name as a certificate has it."""
    if ":" in name and "//" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
