"""Compiles a log format, text or JSON, into one function from a record to a line.

Whatever a client or an upstream supplied is escaped: a line is always one line, a quoted value ends
at its quote, JSON is always JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING

from trioproxy.accesslog.operators import find_operator
from trioproxy.accesslog.origin import NOWHERE, Origin

if TYPE_CHECKING:
    from trioproxy.accesslog.operators import Fields, Get, Value
    from trioproxy.accesslog.record import Head, Record

Line = Callable[["Record"], bytes]
Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%"'
    " %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION%"
    ' %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%"'
    ' "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n'
)
"""Envoy's default, understood by the tools that read Envoy's logs."""

JSON: Mapping[str, Json] = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "response_flags": "%RESPONSE_FLAGS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "route_name": "%ROUTE_NAME%",
}

DEFAULTS: Mapping[str, str | Mapping[str, Json]] = {"text": TEXT, "json": JSON}


def compile_format(form: str | Mapping[str, Json], origin: Origin = NOWHERE) -> Line:
    """Return the function that makes a record a whole line, newline included.

    `form` is `text` or `json` (the defaults), a text with operators, or a mapping for JSON, nested
    at will. Raises ValueError naming an operator that does not exist or does not fit.
    """
    if isinstance(form, str):
        form = DEFAULTS.get(form, form)
    return _compile_text(form, origin) if isinstance(form, str) else _compile_json(form, origin)


def compile_value(text: str, origin: Origin = NOWHERE) -> Callable[[Record], str]:
    """Return the function that makes a record the bare text, for a header field's value.

    Nothing is escaped, and what is missing is left out. Raises ValueError as `compile_format`.
    """
    pieces = _parse(text, origin)
    if all(isinstance(piece, str) for piece in pieces):
        constant = "".join(map(str, pieces))
        return lambda _record: constant
    join = _joined(pieces, missing="")
    return lambda record: join(record, _fields(record.request), _fields(record.response))


_PIECE = re.compile(
    r"(?P<text>[^%]+)"
    r"|(?P<percent>%%)"
    r"|%(?P<name>[A-Z][A-Z0-9_]*)(?:\((?P<argument>[^)]*)\))?(?::(?P<length>[0-9]+))?%"
    r"|(?P<stray>%.{0,20})",
    re.DOTALL,
)


def _parse(text: str, origin: Origin) -> list[str | Get]:
    """Return literal text and the getters between it."""
    pieces: list[str | Get] = []
    for match in _PIECE.finditer(text):
        if match["stray"]:
            raise ValueError(f"no operator at {match['stray']!r} (a percent sign itself is %%)")
        if match["name"]:
            get = find_operator(match["name"], match["argument"], origin)
            pieces.append(_shortened(get, int(match["length"])) if match["length"] else get)
        else:
            pieces.append(match["text"] or "%")
    return pieces


def _shortened(get: Get, length: int) -> Get:
    def shortened(record: Record, request: Fields, response: Fields) -> Value:
        value = get(record, request, response)
        return value[:length] if isinstance(value, str) else value

    return shortened


def _joined(pieces: Sequence[str | Get], missing: str) -> Callable[[Record, Fields, Fields], str]:
    def join(record: Record, request: Fields, response: Fields) -> str:
        text = ""
        for piece in pieces:
            value = piece if isinstance(piece, str) else piece(record, request, response)
            text += missing if value is None else str(value)
        return text

    return join


_NO_FIELDS: Fields = {}


def _fields(head: Head | None) -> Fields:
    # Reversed, for the first of several values is the one that counts.
    return _NO_FIELDS if head is None else dict(reversed(head.headers.fields))


_UNSAFE = bytes(range(0x20)) + b'"\\' + bytes(range(0x7F, 0x100))
_UNSAFE_CHARACTER = re.compile(r"[^ !#-\[\]-~]")


def _escape(value: Value) -> Value:
    return _UNSAFE_CHARACTER.sub(_escaped, value) if isinstance(value, str) else value


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return r"\"" if character == '"' else character.encode("unicode_escape").decode()


def _compile_text(text: str, origin: Origin) -> Line:
    pieces = _parse(text if text.endswith("\n") else text + "\n", origin)
    literals = [piece for piece in pieces if isinstance(piece, str)]
    getters = [piece for piece in pieces if not isinstance(piece, str)]
    template = "".join(
        piece.replace("%", "%%") if isinstance(piece, str) else "%s" for piece in pieces
    )
    # One pass over the finished line tells whether any value needs escaping; hardly ever one does.
    unsafe_in_literals = sum(byte in _UNSAFE for byte in "".join(literals).encode())

    def line(record: Record) -> bytes:
        request, response = _fields(record.request), _fields(record.response)
        values = [
            "-" if (value := get(record, request, response)) is None else value for get in getters
        ]
        result = (template % tuple(values)).encode(errors="backslashreplace")
        if len(result) - len(result.translate(None, _UNSAFE)) == unsafe_in_literals:
            return result
        return (template % tuple(map(_escape, values))).encode()

    return line


def _compile_json(form: Mapping[str, Json], origin: Origin) -> Line:
    getters: list[Get] = []
    template = _json_template(form, origin, getters) + "\n"

    def line(record: Record) -> bytes:
        request, response = _fields(record.request), _fields(record.response)
        return (
            template % tuple([_json_value(get(record, request, response)) for get in getters])
        ).encode()

    return line


def _json_template(form: Json, origin: Origin, getters: list[Get]) -> str:
    """Return JSON with `%s` for what comes from a record, and add what reads it to `getters`."""
    if isinstance(form, Mapping):
        members = [
            f"{_literal(key)}:{_json_template(value, origin, getters)}"
            for key, value in form.items()
        ]
        return "{" + ",".join(members) + "}"
    if isinstance(form, str):
        pieces = _parse(form, origin)
        if all(isinstance(piece, str) for piece in pieces):
            return _literal("".join(map(str, pieces)))
        getters.append(_json_getter(pieces))
        return "%s"
    if isinstance(form, Sequence):
        return "[" + ",".join(_json_template(item, origin, getters) for item in form) + "]"
    return _literal(form)


def _json_getter(pieces: list[str | Get]) -> Get:
    # An operator alone keeps its type: a number is a number, what is missing is null.
    if len(pieces) == 1 and not isinstance(pieces[0], str):
        return pieces[0]
    return _joined(pieces, missing="-")


def _literal(value: Json) -> str:
    return json.dumps(value, allow_nan=False).replace("%", "%%")


def _json_value(value: Value) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value if value.isascii() else _from_utf8(value))
    return "null" if value is None else str(value)


def _from_utf8(value: str) -> str:
    """Return the characters that the sender of a latin-1 text most likely meant."""
    try:
        return value.encode("latin-1").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return value
