"""When the first certificate expires."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trioproxy.tls.certificate import Certificate

if TYPE_CHECKING:
    from pathlib import Path

    from trioproxy.config.server import Config

NO_CERTIFICATE = 2**32 - 1
"""The days until expiry where there is nothing to expire, as Envoy has it."""


def days_until_first_expires(config: Config) -> int:
    """Return the whole days that the first certificate of ours to expire still has."""
    now = datetime.now(UTC).timestamp()
    days = [
        certificate.days_left(now)
        for tls in config.every_tls
        for path, _ in tls.pairs
        if (certificate := readable(path)) is not None
    ]
    return min(days, default=NO_CERTIFICATE)


def readable(path: Path) -> Certificate | None:
    """Read a file's certificate; None where there is none any more."""
    try:
        return Certificate.read(path)
    except ValueError:
        return None
