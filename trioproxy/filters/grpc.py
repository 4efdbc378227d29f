"""What a proxy has to know of gRPC: whether it is that, its deadlines and its statuses.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING
from urllib.parse import quote

from trioproxy.codec.messages import Response

if TYPE_CHECKING:
    from trioproxy.codec.messages import Request
    from trioproxy.headers import Headers

CONTENT_TYPE, STATUS = b"content-type", b"grpc-status"
TIMEOUT = "grpc-timeout"
UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
MOST_DIGITS = 8
PLAIN = " !\"#$&'()*+,/:;<=>?@[\\]^`{|}"  # in a grpc-message, beside letters and digits
OK, UNKNOWN, UNAVAILABLE = 0, 2, 14
# As gRPC reads HTTP's, but for 504: here that is always a time that has run out.
STATUSES = {400: 13, 401: 16, 403: 7, 404: 12, 429: UNAVAILABLE, 431: 13, 502: UNAVAILABLE}
STATUSES |= {503: UNAVAILABLE, 504: 4}


def is_grpc(request: Request) -> bool:
    """Whether a request is a call by gRPC, as itself and not dressed for browsers."""
    for name, value in request.headers.fields:
        if name == CONTENT_TYPE:
            return value == b"application/grpc" or value.startswith(b"application/grpc+")
    return False


def timeout_of(request: Request) -> float:
    """Return the seconds that the caller gives a call; inf where it does not say, or badly."""
    text = request.headers.get(TIMEOUT, "")
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS or not number.isdecimal() or len(number) > MOST_DIGITS:
        return inf
    return int(number) * UNITS[unit]


def refusal(status: int, text: str) -> Response:
    """Return the response that tells a caller of an HTTP status: it has trailers only."""
    response = Response(status=200)
    response.headers.set("content-type", "application/grpc")
    response.headers.set("grpc-status", str(STATUSES.get(status, UNKNOWN)))
    if text:
        response.headers.set("grpc-message", quote(text.strip(), safe=PLAIN))
    return response


def status_of(response: Response, trailers: Headers) -> int:
    """Return the status of a call that is over, UNKNOWN where nothing was said of it."""
    for headers in (trailers, response.headers):
        for name, value in headers.fields:
            if name == STATUS:
                return int(value) if value.isdigit() else UNKNOWN
    return UNKNOWN
