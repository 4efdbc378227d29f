"""What switches protocols on a stream: CONNECT, and its extended form (RFC 8441) for WebSockets."""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

from trioproxy.errors import UpstreamProtocolError

if TYPE_CHECKING:
    from trioproxy.codec.messages import Request, Response

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
            given = [value for name, value in response.headers.fields if name == ACCEPT]
            if response.status == 101 and given != [self._accept]:
                raise UpstreamProtocolError("the WebSocket's key is not the one that was sent")
            response.headers.fields = [
                field for field in response.headers.fields if field[0] != ACCEPT
            ]
        response.status, response.reason, response.upgrade = 200, "", ""


def handshake(request: Request) -> Handshake:
    """Complete a CONNECT to what an HTTP/1.1 server would be asked."""
    request.chunked = False
    request.content_length = None
    if request.upgrade != "websocket":
        return Handshake(None)
    key = b64encode(os.urandom(16))
    fields = [field for field in request.headers.fields if field[0] != KEY]
    request.headers.fields = [*fields, (KEY, key)]
    return Handshake(b64encode(sha1(key + GUID).digest()))
