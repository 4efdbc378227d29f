"""RFC 9112 section by section: what could be read as two different messages is refused."""

from __future__ import annotations

import pytest

from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.h1 import Codec

LINE = b"POST / HTTP/1.1\r\n"
HOST = b"Host: x\r\n"
REQUEST = LINE + HOST
RESPONSE = b"HTTP/1.1 200 OK\r\n"

REQUESTS = {
    "2.2 a line of the head ends in a bare LF": (REQUEST + b"a: b\nc: d", 400),
    "2.2 a bare CR inside a value": (REQUEST + b"a: b\rc", 400),
    "2.2 a bare CR inside a name": (REQUEST + b"a\r: b", 400),
    "2.2 a bare LF hides a framing": (REQUEST + b"a: b\nTransfer-Encoding: chunked", 400),
    "2.2 whitespace before the first field": (LINE + b" Host: x", 400),
    "2.2 an empty line inside": (REQUEST + b"\r\na: b", 400),
    "2.2 an empty first line": (b"\r\n" + REQUEST + b"a: b", 400),
    "2.2 nothing at all": (b"", 400),
    "2.3 a version in lower case": (b"GET / http/1.1\r\nHost: x", 400),
    "2.3 a version that is not ours": (b"GET / HTTP/3.0\r\nHost: x", 505),
    "2.3 the preface of HTTP/2": (b"PRI * HTTP/2.0", 505),
    "2.3 no version": (b"GET /", 400),
    "3 two spaces": (b"GET  / HTTP/1.1\r\nHost: x", 400),
    "3 a tab for a space": (b"GET\t/ HTTP/1.1\r\nHost: x", 400),
    "3.1 no token for a method": (b"GE{T / HTTP/1.1\r\nHost: x", 400),
    "3.2 whitespace in the target": (b"GET /a b HTTP/1.1\r\nHost: x", 400),
    "3.2 a fragment": (b"GET /#a HTTP/1.1\r\nHost: x", 400),
    "3.2 no Host": (b"GET / HTTP/1.1\r\na: b", 400),
    "3.2 two Hosts": (REQUEST + b"Host: y", 400),
    "3.2 twice the same Host": (REQUEST + b"host: x", 400),
    "3.2 an invalid Host": (LINE + b"Host: x/y", 400),
    "3.2 an empty Host": (LINE + b"Host:", 400),
    "3.2 two hosts in one Host": (LINE + b"Host: x, y", 400),
    "3.2 a user in Host": (LINE + b"Host: u@x", 400),
    "3.2 Host with a space before the colon": (LINE + b"Host : x", 400),
    "3.2.2 Host differs from the target": (b"GET http://x/ HTTP/1.1\r\nHost: y", 400),
    "3.2.2 absolute form without Host": (b"GET http://x/ HTTP/1.1\r\na: b", 400),
    "3.2.2 a user in the target": (b"GET http://u@x/ HTTP/1.1\r\nHost: x", 400),
    "3.2.3 CONNECT without a port": (b"CONNECT x HTTP/1.1\r\nHost: x", 400),
    "3.2.3 CONNECT to somewhere else": (b"CONNECT x:1 HTTP/1.1\r\nHost: y:1", 400),
    "3.2.3 a body on CONNECT": (b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\nContent-Length: 5", 400),
    "3.2.3 an empty body on CONNECT": (
        b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\nContent-Length: 0",
        400,
    ),
    "3.2.4 an asterisk for another method": (b"GET * HTTP/1.1\r\nHost: x", 400),
    "5 no colon": (REQUEST + b"abc", 400),
    "5 no name": (REQUEST + b": b", 400),
    "5 a control character in a value": (REQUEST + b"a: \x01", 400),
    "5 NUL in a value": (REQUEST + b"a: b\x00c", 400),
    "5 NUL in a name": (REQUEST + b"a\x00: b", 400),
    "5 obs-text in a name": (REQUEST + b"\xc3\xa4: b", 400),
    "5.1 a space before the colon": (REQUEST + b"Transfer-Encoding : chunked", 400),
    "5.1 a tab before the colon": (REQUEST + b"Content-Length\t: 5", 400),
    "5.1 a vertical tab around a value": (REQUEST + b"Transfer-Encoding:\x0bchunked", 400),
    "5.2 a folded line": (REQUEST + b"a: b\r\n c", 400),
    "5.2 a framing in a fold": (REQUEST + b"a: b\r\n\tTransfer-Encoding: chunked", 400),
    "6.1 chunked is not last": (REQUEST + b"Transfer-Encoding: chunked, identity", 400),
    "6.1 an unknown coding": (REQUEST + b"Transfer-Encoding: gzip, chunked", 501),
    "6.1 something like chunked": (REQUEST + b"Transfer-Encoding: xchunked", 400),
    "6.1 identity": (REQUEST + b"Transfer-Encoding: identity", 400),
    "6.1 an empty coding": (REQUEST + b"Transfer-Encoding:", 400),
    "6.1 a coding in quotes": (REQUEST + b'Transfer-Encoding: "chunked"', 400),
    "6.1 chunked with a parameter": (REQUEST + b"Transfer-Encoding: chunked;q=1", 400),
    "6.1 chunked twice": (REQUEST + b"Transfer-Encoding: chunked, chunked", 501),
    "6.1 chunked in two fields": (
        REQUEST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        400,
    ),
    "6.1 codings in two fields": (
        REQUEST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        400,
    ),
    "6.1 a coding in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked", 400),
    "6.2 no digits": (REQUEST + b"Content-Length: ", 400),
    "6.2 a sign": (REQUEST + b"Content-Length: +5", 400),
    "6.2 a negative length": (REQUEST + b"Content-Length: -5", 400),
    "6.2 a hexadecimal length": (REQUEST + b"Content-Length: 0x5", 400),
    "6.2 a length with a space inside": (REQUEST + b"Content-Length: 5 0", 400),
    "6.2 a length that overflows": (REQUEST + b"Content-Length: 18446744073709551621", 400),
    "6.3 both framings": (REQUEST + b"Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
    "6.3 both framings, the other way": (
        REQUEST + b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        400,
    ),
    "6.3 both framings, no length": (
        REQUEST + b"Transfer-Encoding: chunked\r\nContent-Length: 0",
        400,
    ),
    "6.3 both framings, one nominated away": (
        REQUEST + b"Connection: content-length\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        400,
    ),
    "6.3 two lengths": (REQUEST + b"Content-Length: 5\r\nContent-Length: 6", 400),
    "6.3 twice the same length": (REQUEST + b"Content-Length: 5\r\nContent-Length: 5", 400),
    "6.3 a list of lengths": (REQUEST + b"Content-Length: 5, 6", 400),
    "6.3 a list of the same length": (REQUEST + b"Content-Length: 5, 5", 400),
    "9110 7.6.1 no option": (REQUEST + b"Connection: a b", 400),
    "9110 10.1.1 an unknown expectation": (REQUEST + b"Expect: 200-ok", 417),
}

RESPONSES = {
    "2.2 a bare LF": RESPONSE + b"a: b\nc: d",
    "2.2 whitespace before the first field": RESPONSE + b" a: b",
    "2.3 a version that is not ours": b"HTTP/2.0 200 OK",
    "2.3 another protocol": b"ICY 200 OK",
    "4 no status": b"HTTP/1.1 OK",
    "4 a long status": b"HTTP/1.1 2000 OK",
    "4 a control character in the reason": b"HTTP/1.1 200 O\x00K",
    "5 NUL in a value": RESPONSE + b"a: b\x00c",
    "5.1 a space before the colon": RESPONSE + b"Content-Length : 5",
    "5.2 a folded line": RESPONSE + b"a: b\r\n c",
    "6.1 chunked is not last": RESPONSE + b"Transfer-Encoding: chunked, gzip",
    "6.1 an unknown coding": RESPONSE + b"Transfer-Encoding: gzip, chunked",
    "6.1 a coding in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
    "6.2 a sign": RESPONSE + b"Content-Length: +5",
    "6.3 both framings": RESPONSE + b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "6.3 two lengths": RESPONSE + b"Content-Length: 5\r\nContent-Length: 6",
    "6.3 twice the same length": RESPONSE + b"Content-Length: 5\r\nContent-Length: 5",
    "6.3 a list of the same length": RESPONSE + b"Content-Length: 5, 5",
}


@pytest.mark.parametrize(("head", "status"), REQUESTS.values(), ids=REQUESTS)
def test_requests(head: bytes, status: int) -> None:
    codec = Codec()
    for _ in range(2):
        with pytest.raises(MalformedMessage) as caught:
            codec.parse_request(head)
        assert caught.value.status == status


@pytest.mark.parametrize("head", RESPONSES.values(), ids=RESPONSES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "CONNECT"])
def test_responses(head: bytes, method: str) -> None:
    codec = Codec()
    for _ in range(2):
        with pytest.raises(MalformedMessage):
            codec.parse_response(head, method)


def test_the_table_breaks_one_rule_at_a_time() -> None:
    """Without the breach the same request is accepted."""
    codec = Codec()
    codec.parse_request(REQUEST + b"a: b")
    codec.parse_request(REQUEST + b"Content-Length: 5")
    codec.parse_request(REQUEST + b"Transfer-Encoding: chunked")
    codec.parse_request(b"GET http://x/ HTTP/1.1\r\nHost: x")
    codec.parse_request(b"CONNECT x:1 HTTP/1.1\r\nHost: x:1")
    codec.parse_response(RESPONSE + b"a: b", "GET")
    codec.parse_response(RESPONSE + b"Transfer-Encoding: chunked", "GET")
