"""How the peer breaks the protocol: on one stream, or so that its connection is lost."""

from __future__ import annotations


class ConnectionFailure(Exception):
    """A connection error (RFC 9113 section 5.4.1); `limit` names the field of Limits exceeded."""

    def __init__(self, code: int, detail: str, limit: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.limit = limit


class StreamFailure(Exception):
    """A stream error (RFC 9113 section 5.4.2)."""

    def __init__(self, stream_id: int, code: int, detail: str) -> None:
        super().__init__(detail)
        self.stream_id = stream_id
        self.code = code
        self.detail = detail
