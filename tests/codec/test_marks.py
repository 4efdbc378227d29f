from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.codec import marks
from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.messages import Request

if TYPE_CHECKING:
    from trioproxy.codec.marks import Reader


@pytest.mark.parametrize(("value", "length"), [(b"0", 0), (b"007", 7), (b"9" * 18, 10**18 - 1)])
def test_a_length_is_a_plain_number(value: bytes, length: int) -> None:
    request = Request()
    marks.content_length(value)(request)
    assert request.content_length == length


@pytest.mark.parametrize(
    "value",
    [b"", b"+5", b"-5", b"5, 5", b"5,5", b"5 5", b"0x5", b"5_0", b"5.0", b"5;", b"\xb2", b"1" * 19],
)
def test_anything_else_is_no_length(value: bytes) -> None:
    with pytest.raises(MalformedMessage):
        marks.content_length(value)


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"CHUNKED"])
def test_chunked_is_the_one_transfer_coding(value: bytes) -> None:
    request = Request()
    marks.transfer_encoding(value)(request)
    assert request.chunked


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"", 400),
        (b"identity", 400),
        (b"gzip", 400),
        (b"xchunked", 400),
        (b"chunkedx", 400),
        (b"chunked, identity", 400),
        (b"chunked,", 400),
        (b"chunked;a=b", 400),
        (b'"chunked"', 400),
        (b"chunked chunked", 400),
        (b"\x0bchunked", 400),
        (b"gzip, chunked", 501),
        (b"chunked, chunked", 501),
        (b", chunked", 501),
    ],
)
def test_other_transfer_codings_are_refused(value: bytes, status: int) -> None:
    with pytest.raises(MalformedMessage) as caught:
        marks.transfer_encoding(value)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("reader", "first", "second"),
    [
        (marks.host, b"a", b"a"),
        (marks.host, b"a", b"b"),
        (marks.content_length, b"5", b"5"),
        (marks.content_length, b"5", b"6"),
        (marks.content_length, b"0", b"0"),
        (marks.transfer_encoding, b"chunked", b"chunked"),
    ],
)
def test_what_must_be_said_once_is_refused_twice(
    reader: Reader[Request], first: bytes, second: bytes
) -> None:
    request = Request()
    reader(first)(request)
    with pytest.raises(MalformedMessage, match="more than one"):
        reader(second)(request)


def test_lists_may_come_in_several_fields() -> None:
    request = Request()
    marks.connection(b"Keep-Alive, ,X-a")(request)
    marks.connection(b"te")(request)
    marks.upgrade(b"WebSocket")(request)
    marks.upgrade(b"h2c")(request)
    marks.te(b"trailers, gzip;q=0.5")(request)
    marks.te(b"deflate")(request)
    assert request.connection == {b"keep-alive", b"x-a", b"te"}
    assert request.upgrade == "websocket, h2c"
    assert request.te_trailers


@pytest.mark.parametrize("value", [b"a b", b"close;", b"a:b", b'"close"', b"\xe9"])
def test_connection_lists_tokens(value: bytes) -> None:
    with pytest.raises(MalformedMessage):
        marks.connection(value)


@pytest.mark.parametrize("value", [b"", b"a\xe9", b'"websocket"', b"a:b"])
def test_upgrade_lists_protocols(value: bytes) -> None:
    with pytest.raises(MalformedMessage):
        marks.upgrade(value)


def test_no_other_expectation_can_be_met() -> None:
    request = Request()
    marks.expect(b"100-Continue")(request)
    assert request.expect_continue
    with pytest.raises(MalformedMessage) as caught:
        marks.expect(b"100-continue, x")
    assert caught.value.status == 417


def test_a_host_outside_of_ascii_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        marks.host(b"\xe9.org")
