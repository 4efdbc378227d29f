from __future__ import annotations

import pytest

from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.h1 import Codec


@pytest.fixture
def codec() -> Codec:
    return Codec()


def test_a_request_is_taken_apart(codec: Codec) -> None:
    request = codec.parse_request(
        b"POST /a?b HTTP/1.1\r\nHost: x:81\r\nContent-Length: 5\r\nConnection: close, x-hop\r\n"
        b"X-Hop: 1\r\nAccept:  text/html \r\nExpect: 100-continue"
    )
    assert (request.method, request.path, request.authority) == ("POST", "/a?b", "x:81")
    assert request.content_length == 5
    assert request.expect_continue
    assert not request.keep_alive
    assert request.headers.fields == [(b"accept", b"text/html")]
    assert codec.encode_request(request) == (
        b"POST /a?b HTTP/1.1\r\nhost: x:81\r\naccept: text/html\r\ncontent-length: 5\r\n"
        b"expect: 100-continue\r\n\r\n"
    )


def test_both_framings_are_refused(codec: Codec) -> None:
    with pytest.raises(MalformedMessage):
        codec.parse_request(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked"
        )
