"""Entries to messages: what a header block has to say as a whole (RFC 9113 section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.chunks import NO_TRAILERS
from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.h2.entries import FIELD, PSEUDO, Draft
from trioproxy.codec.messages import Request, Response
from trioproxy.codec.startline import read_authority, same_authority
from trioproxy.headers import Field, Headers

if TYPE_CHECKING:
    from trioproxy.codec.h2.entries import Entry


def read_request(entries: list[Entry], *, ended: bool, extended: bool) -> Request:
    """Return the request; raises MalformedMessage.

    `ended`: no body follows. `extended`: CONNECT with :protocol was allowed (RFC 8441).
    """
    draft = Draft()
    fields = _tell(entries, draft)
    if draft.cookies:
        fields.append((b"cookie", b"; ".join(draft.cookies)))
    _check_target(draft, extended=extended)
    length = _length(draft, ended=ended)
    return Request(
        headers=Headers(fields),
        major=2,
        method=draft.method,
        path=draft.path,
        authority=_agreed_authority(draft),
        scheme=draft.scheme or "http",
        upgrade=draft.protocol,
        content_length=length,
        chunked=length is None and not ended and draft.method != "CONNECT",
        te_trailers=draft.te_trailers,
        expect_continue=draft.expect_continue and not ended,
    )


def read_response(entries: list[Entry], method: str, *, ended: bool) -> Response:
    """Return the response to a `method` request; raises MalformedMessage."""
    draft = Draft()
    fields = _tell(entries, draft)
    status = draft.status
    if status < 0:
        raise MalformedMessage("no :status")
    interim = status < 200
    if interim and ended:
        raise MalformedMessage("an interim response that ends the stream")
    bodiless = method == "HEAD" or (method == "CONNECT" and 200 <= status < 300)
    no_body = bodiless or interim or status in (204, 304)
    length = None if interim or status == 204 else _length(draft, ended=ended and not no_body)
    response = Response(headers=Headers(fields), major=2, status=status, bodiless=bodiless)
    response.content_length = length
    response.chunked = length is None and not ended and not no_body
    return response


def read_trailers(entries: list[Entry]) -> Headers:
    """Return the fields behind a body, without those that have no place there.

    Raises MalformedMessage.
    """
    draft = Draft()
    for entry in entries:
        if entry.kind == PSEUDO:
            raise MalformedMessage("a pseudo-header field behind the body")
        entry.tell(draft)
    return Headers([entry.field for entry in entries if entry.field[0] not in NO_TRAILERS])


def _tell(entries: list[Entry], draft: Draft) -> list[Field]:
    fields: list[Field] = []
    regular = False
    for entry in entries:
        kind = entry.kind
        if kind == FIELD:
            regular = True
            fields.append(entry.field)
            continue
        if kind != PSEUDO:
            regular = True
        elif regular:
            raise MalformedMessage("a pseudo-header field behind a regular one")
        entry.tell(draft)
    return fields


def _check_target(draft: Draft, *, extended: bool) -> None:
    """Check that the pseudo-header fields go together (section 8.3.1, 8.5, RFC 8441)."""
    if not draft.method:
        raise MalformedMessage("no :method")
    if draft.protocol and (draft.method != "CONNECT" or not extended):
        raise MalformedMessage(":protocol where it may not be")
    if draft.method == "CONNECT" and not draft.protocol:
        if draft.scheme or draft.path or draft.content_length >= 0:
            raise MalformedMessage("CONNECT with a scheme, a path or a body")
        read_authority(draft.authority, port_needed=True)
        return
    if not draft.scheme or not draft.path:
        raise MalformedMessage("no :scheme or no :path")
    if draft.path == "*" and draft.method != "OPTIONS":
        raise MalformedMessage("the path * for another method than OPTIONS")


def _agreed_authority(draft: Draft) -> str:
    if not draft.authority:
        if not draft.host:
            raise MalformedMessage("neither :authority nor Host")
        return draft.host
    if draft.host and not same_authority(draft.authority, draft.host, _port_of(draft.scheme)):
        raise MalformedMessage("Host differs from :authority")
    return draft.authority


def _port_of(scheme: str) -> str:
    """Return the scheme whose default port may be left out; none where there is no scheme."""
    return scheme if scheme in ("", "http", "https") else "http"


def _length(draft: Draft, *, ended: bool) -> int | None:
    if ended and draft.content_length > 0:
        raise MalformedMessage("no body where Content-Length promises one")
    return draft.content_length if draft.content_length >= 0 else None
