"""What went wrong with TLS, in a few words for people."""

from __future__ import annotations

import ssl


def reason(error: OSError) -> str:
    """Say it as in `no shared cipher`, or `certificate verify failed: certificate has expired`."""
    if not isinstance(error, ssl.SSLError):
        return (error.strerror or str(error)).lower()
    told: str | None = getattr(error, "reason", None)  # those that Python itself makes have none
    words = (told or error.strerror or "failed").lower().replace("_", " ")
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{words}: {error.verify_message}"
    return words
