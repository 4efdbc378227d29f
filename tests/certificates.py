"""A certificate authority for a test run, what it signs, and contexts of who trusts it."""

from __future__ import annotations

import itertools
import ssl
from typing import TYPE_CHECKING

import attrs
import trustme

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


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
        self.ca = trustme.CA(organization_name="Tests")
        self.path = directory / "authority.pem"
        self.ca.cert_pem.write_to_path(self.path)

    def issue(
        self, *names: str, key: str = "ECDSA", until: datetime | None = None, name: str = ""
    ) -> Pair:
        """Sign a certificate for host names, addresses or URIs; `key` is ECDSA or RSA."""
        kind = trustme.KeyType[key]
        leaf = self.ca.issue_cert(*names, key_type=kind, not_after=until)
        stem = name or f"leaf-{next(self._numbers)}"
        pair = Pair(self._directory / f"{stem}.pem", self._directory / f"{stem}.key")
        self.write(leaf, pair)
        return pair

    @staticmethod
    def write(leaf: trustme.LeafCert, pair: Pair) -> None:
        """Write the whole chain and the key, where others may have been."""
        pair.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        pair.private_key.write_bytes(leaf.private_key_pem.bytes())

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
