"""Parties that take up a WebSocket over HTTP/2 (RFC 8441)."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from h2_peer import H2Peer
    from serving import Proxy

WEBSOCKETS = "upgrades: [websocket],"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HTTP2 = "protocol: http2"
FIRST = b"\x81\x05first"  # a text frame


def accept(key: str) -> str:
    return b64encode(sha1(f"{key}{GUID}".encode()).digest()).decode()


async def connect(client: H2Peer, **fields: str) -> int:
    """Begin an extended CONNECT."""
    number = client.h2.get_next_available_stream_id()
    head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http")]
    head += [(":path", "/chat"), (":authority", "a.org")]
    head += [(name.replace("_", "-"), value) for name, value in fields.items()]
    await client.begin(number, head, ended=False)
    return number


async def switch(proxy: Proxy, key: str = "") -> None:
    """Have the HTTP/1.1 origin take up the WebSocket, by another key if one is given."""
    origin = await proxy.party("origin")
    lines = (await origin.head()).decode().split("\r\n")
    assert lines[0] == "GET /chat HTTP/1.1"
    fields = dict(line.split(": ") for line in lines[1:] if line)
    assert fields["upgrade"] == "websocket"
    answer = accept(key or fields["sec-websocket-key"])
    await origin.say(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        f"sec-websocket-accept: {answer}\r\nsec-websocket-protocol: x\r\n\r\n".encode()
        + FIRST
    )
