"""What went wrong with TLS, in a few words for people."""

from __future__ import annotations

import ssl


def reason(error: OSError) -> str:
    """Say it as in `no shared cipher`, or `certificate verify failed: certificate has expired`."""
    if not isinstance(error, ssl.SSLError):
        return (error.strerror or str(error)).lower()
    words = (error.reason or error.strerror or "failed").lower().replace("_", " ")
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{words}: {error.verify_message}"
    return words
