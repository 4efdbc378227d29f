"""The certificates that are configured, as their files are now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trioproxy.admin.responses import as_json
from trioproxy.tls.certificate import Certificate

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.responses import Response

    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View
    from trioproxy.config.tls import Tls

KINDS = {"DNS": "dns", "URI": "uri", "IP Address": "ip_address", "email": "email"}


def certs(view: View, query: Query) -> Response:
    """List the certificates of listeners and clusters, and whom they trust, with the days left."""
    now = datetime.now(UTC)
    return as_json({"certificates": [entry(each, now) for each in view.instance.config.every_tls]})


def entry(tls: Tls, now: datetime) -> dict[str, object]:
    """Describe what one side shows and trusts."""
    return {
        "ca_cert": [facts(tls.trusted_ca, now)] if tls.trusted_ca else [],
        "cert_chain": [facts(path, now) for path, _ in tls.pairs],
    }


def facts(path: Path, now: datetime) -> dict[str, object]:
    """Describe the first certificate of a file; or why there is none."""
    try:
        certificate = Certificate.read(path)
    except ValueError as error:
        return {"path": str(path), "error": str(error)}
    return {
        "path": str(path),
        "serial_number": certificate.serial_number,
        "subject_alt_names": [{KINDS.get(kind, kind): name} for kind, name in certificate.names],
        "days_until_expiration": str(certificate.days_left(now.timestamp())),
        "valid_from": moment(certificate.begins),
        "expiration_time": moment(certificate.ends),
    }


def moment(seconds: float) -> str:
    """Write a Unix time as Envoy does."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
