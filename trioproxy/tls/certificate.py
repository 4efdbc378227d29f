"""A certificate in a file: whose it is, for which names, and until when."""

from __future__ import annotations

import ssl
from pathlib import Path  # noqa: TC003
from typing import cast

import attrs

Names = tuple[tuple[str, str], ...]

DAY = 24 * 3600


@attrs.frozen
class Certificate:
    """The first certificate of a PEM file; times are Unix times in seconds."""

    path: Path
    serial_number: str
    names: Names
    common_name: str
    begins: float
    ends: float

    @classmethod
    def read(cls, path: Path) -> Certificate:
        """Read a file; raises ValueError saying what is wrong with it."""
        try:
            path.open("rb").close()
            # The standard library has no other way to a certificate that nobody has shown.
            facts = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]
        except ssl.SSLError:
            raise ValueError(f"{path}: no certificate in PEM") from None
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        return cls(
            path,
            facts["serialNumber"].lower(),
            tuple(facts.get("subjectAltName", ())),
            next((v for part in facts["subject"] for k, v in part if k == "commonName"), ""),
            ssl.cert_time_to_seconds(facts["notBefore"]),
            ssl.cert_time_to_seconds(facts["notAfter"]),
        )

    @property
    def dns_names(self) -> tuple[str, ...]:
        """The host names that it is for, in lower case, wildcards included; or whom it names."""
        names = tuple(name.lower() for kind, name in self.names if kind == "DNS")
        return names or (self.common_name.lower(),)

    def days_left(self, now: float) -> int:
        """Return the whole days until it expires, 0 where it has."""
        return max(0, int((self.ends - now) // DAY))


def alt_names(tls: ssl.SSLObject) -> Names:
    """Return the subject alternative names of a verified peer, each with its kind."""
    certificate = tls.getpeercert() or {}
    return cast("Names", certificate.get("subjectAltName", ()))
