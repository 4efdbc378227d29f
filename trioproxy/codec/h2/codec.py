"""One worker's reader and writer of header blocks: what is worth remembering across connections.

How a message looks after HTTP/2, and before:

- `request.chunked` / `response.chunked` is set where a body of unknown length follows: no
  content-length, and the stream did not end with the head. `minor` is 1, `reason` empty.
- Extended CONNECT (RFC 8441) is `method="CONNECT"` with `upgrade` holding :protocol, in lower case,
  and with scheme, path and authority; plain CONNECT has an empty path and no upgrade.
- `authority` is :authority, or Host where there was none; they may not differ. Host is no field.
- `te_trailers`, `expect_continue`, `content_length` stand for their fields, as in HTTP/1.1. Cookie
  fields are joined to one. Connection, Upgrade and the like are errors (section 8.2.2).
- What is sent: `upgrade` of a response and what concerns one hop is left out; `chunked` only means
  that no content-length is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.chunks import NO_TRAILERS
from trioproxy.codec.errors import MalformedMessage, UnsafeMessage
from trioproxy.codec.fields import MAX_REMEMBERED
from trioproxy.codec.h2 import entries
from trioproxy.codec.h2.encoder import INDEXING, WITHOUT, FieldWriter, Written, write_name
from trioproxy.codec.h2.tables import (
    INDEX_OF,
    OVERHEAD,
    write_compressed,
    write_integer,
    write_string,
)
from trioproxy.codec.marks import PROTOCOLS
from trioproxy.codec.memo import Memo
from trioproxy.codec.startline import read_authority

if TYPE_CHECKING:
    from trioproxy.codec.h2.encoder import Encoder
    from trioproxy.codec.messages import Request, Response
    from trioproxy.headers import Field, Headers

STATUS_START = write_name(b":status", WITHOUT)
METHOD_START = write_name(b":method", WITHOUT)
SCHEME_START = write_name(b":scheme", WITHOUT)
PROTOCOL_START = write_name(b":protocol", WITHOUT)
PATH_START = write_name(b":path", WITHOUT)
AUTHORITY_START = write_name(b":authority", INDEXING)
LENGTH_START = write_name(b"content-length", WITHOUT)
EXPECT = write_name(b"expect", WITHOUT) + write_string(b"100-continue")
TE = write_name(b"te", WITHOUT) + write_string(b"trailers")


class Codec:
    """Shared by all connections of a worker."""

    def __init__(self) -> None:
        self.requests = entries.EntryReader(entries.REQUEST_PSEUDO, entries.OF_REQUESTS)
        self.responses = entries.EntryReader(entries.RESPONSE_PSEUDO, entries.OF_MESSAGES)
        self._statuses = Memo(_write_status)
        self._lengths = Memo(_write_length)
        self._starts = Memo(_write_start)
        self._paths = Memo(_write_path)
        self._authorities = Memo(_write_authority)
        self._request_fields = Memo(FieldWriter(entries.OF_REQUESTS.keys() - {b"cookie"}))
        self._response_fields = Memo(FieldWriter(entries.OF_MESSAGES))
        self._trailer_fields = Memo(FieldWriter(NO_TRAILERS))

    def encode_response(self, response: Response, encoder: Encoder) -> bytes:
        """Write the block of a response head; raises UnsafeMessage."""
        status, length = response.status, response.content_length
        parts = [self._statuses[status]]
        if length is not None and not response.chunked and status >= 200 and status != 204:
            parts.append(self._lengths[length])
        encoder.encode(self._response_fields, response.headers.fields, parts)
        return encoder.take_update() + b"".join(parts)

    def encode_request(self, request: Request, encoder: Encoder) -> bytes:
        """Write the block of a request head; raises UnsafeMessage."""
        parts = [self._starts[request.method, request.scheme, request.upgrade]]
        if request.method != "CONNECT" or request.upgrade:
            parts.append(self._paths[request.path])
        ending = _ending(request)
        if request.content_length is not None and not request.chunked:
            ending += self._lengths[request.content_length]
        if request.authority:
            authority = (b":authority", request.authority.encode("latin-1", "replace"))
            encoder.encode(self._authorities, [authority], parts)
        encoder.encode(self._request_fields, request.headers.fields, parts)
        parts.append(ending)
        return encoder.take_update() + b"".join(parts)

    def encode_trailers(self, trailers: Headers, encoder: Encoder) -> bytes:
        """Write the block of the fields behind a body; raises UnsafeMessage."""
        parts: list[bytes] = []
        encoder.encode(self._trailer_fields, trailers.fields, parts)
        return encoder.take_update() + b"".join(parts)


def _write_status(status: int) -> tuple[bytes, bool]:
    if not 100 <= status <= 999 or status == 101:
        raise UnsafeMessage(f"not a status of HTTP/2: {status}")
    digits = b"%d" % status
    index = INDEX_OF.get((b":status", digits), 0)
    return write_integer(index, 7, 0x80) if index else STATUS_START + write_string(digits), True


def _write_length(length: int) -> tuple[bytes, bool]:
    if length < 0:
        raise UnsafeMessage("a negative length")
    return LENGTH_START + write_string(b"%d" % length), True


def _write_start(start: tuple[str, str, str]) -> tuple[bytes, bool]:
    """Write :method, and where they belong :scheme and :protocol."""
    method, scheme, protocol = start
    if not entries.METHODS.fullmatch(method) or not entries.SCHEMES.fullmatch(scheme):
        raise UnsafeMessage("cannot be sent: not a method and a scheme")
    written = _write_pseudo(b":method", method, METHOD_START)
    if method != "CONNECT":
        return written + _write_pseudo(b":scheme", scheme, SCHEME_START), True
    if not protocol:
        return written, True
    if not PROTOCOLS.fullmatch(protocol):
        raise UnsafeMessage("cannot be sent: not a protocol")
    written += _write_pseudo(b":scheme", scheme, SCHEME_START)
    return written + PROTOCOL_START + write_string(protocol.encode()), True


def _write_path(path: str) -> tuple[bytes, bool]:
    if not entries.PATHS.fullmatch(path):
        raise UnsafeMessage("cannot be sent: not a path")
    # A target with a query hardly comes back, and carries secrets at times.
    keep = len(path) <= MAX_REMEMBERED and "?" not in path
    return _write_pseudo(b":path", path, PATH_START), keep


def _write_authority(field: Field) -> tuple[Written, bool]:
    name, value = field
    try:
        read_authority(value.decode("latin-1"))
    except MalformedMessage as error:
        raise UnsafeMessage("cannot be sent: not a valid host") from error
    size = len(name) + len(value) + OVERHEAD
    return Written(AUTHORITY_START + write_compressed(value), size), True


def _write_pseudo(name: bytes, value: str, start: bytes) -> bytes:
    wire = value.encode()
    index = INDEX_OF.get((name, wire), 0)
    return write_integer(index, 7, 0x80) if index else start + write_string(wire)


def _ending(request: Request) -> bytes:
    """What of a request's attributes stands as a field, but for its length."""
    return (TE if request.te_trailers else b"") + (EXPECT if request.expect_continue else b"")
