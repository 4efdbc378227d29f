"""What switches protocols on a stream: CONNECT, and its extended form (RFC 8441) for WebSockets."""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

from trioproxy.codec.messages import Request, Response
from trioproxy.errors import UpstreamProtocolError
from trioproxy.headers import Headers

if TYPE_CHECKING:
    from trioproxy.headers import Field

KEY, ACCEPT = b"sec-websocket-key", b"sec-websocket-accept"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handshake:
    """The part of a WebSocket's handshake that HTTP/2 has no need of, and HTTP/1.1 asks for."""

    __slots__ = ("_accept",)

    def __init__(self, accept: bytes | None) -> None:
        self._accept = accept

    def __repr__(self) -> str:
        return f"<Handshake{'' if self._accept is None else ' of a WebSocket'}>"

    def check(self, response: Response) -> None:
        """Make a response that switches one to CONNECT; raises UpstreamProtocolError."""
        if self._accept is not None:
            given, rest = taken_out(response.headers, ACCEPT)
            if response.status == 101 and given != [self._accept]:
                raise UpstreamProtocolError("the WebSocket's key is not the one that was sent")
            response.headers.fields = rest
        response.status, response.reason, response.upgrade = 200, "", ""


def handshake(request: Request) -> Handshake:
    """Complete a CONNECT to what an HTTP/1.1 server would be asked."""
    request.chunked = False
    request.content_length = None
    if request.upgrade != "websocket":
        return Handshake(None)
    key = b64encode(os.urandom(16))
    request.headers.fields = [*taken_out(request.headers, KEY)[1], (KEY, key)]
    return Handshake(accept(key))


def extended(request: Request) -> Request:
    """Return the CONNECT (RFC 8441) that asks an HTTP/2 server for a request's upgrade."""
    return Request(
        method="CONNECT",
        path=request.path,
        authority=request.authority,
        scheme=request.scheme,
        upgrade=request.upgrade,
        headers=Headers(taken_out(request.headers, KEY)[1]),
    )


def switched(request: Request, response: Response) -> Response:
    """Return what an HTTP/1.1 server would have answered to a request that upgrades."""
    fields = taken_out(response.headers, ACCEPT)[1]
    for key in taken_out(request.headers, KEY)[0]:
        fields.append((ACCEPT, accept(key)))
    return Response(
        status=101,
        reason="Switching Protocols",
        upgrade=request.upgrade,
        headers=Headers(fields),
    )


def accept(key: bytes) -> bytes:
    """Return the answer to a WebSocket's key (RFC 6455 section 4.2.2)."""
    return b64encode(sha1(key + GUID).digest())


def taken_out(headers: Headers, name: bytes) -> tuple[list[bytes], list[Field]]:
    """Return the values of `name`, and the fields that are left without it."""
    values = [value for each, value in headers.fields if each == name]
    return values, [field for field in headers.fields if field[0] != name]
