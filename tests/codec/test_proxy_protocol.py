"""PROXY protocol headers, of both versions, in any pieces, and anything else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.codec.proxy_protocol import (
    ABSENT,
    LONGEST,
    V1_LONGEST,
    V2,
    Ends,
    Header,
    MalformedHeader,
    Version,
    read_header,
    write_header,
)

FOUR = ("192.0.2.1", 40000), ("198.51.100.2", 443)
SIX = ("2001:db8::1", 40000), ("2001:db8::2", 443)
versions = pytest.mark.parametrize("version", ["v1", "v2"])


@versions
@pytest.mark.parametrize("ends", [FOUR, SIX])
def test_what_is_written_is_read(version: Version, ends: Ends) -> None:
    data = write_header(version, ends)
    assert read_header(data + b"GET /") == Header(version, len(data), *ends)
    for end in range(len(data)):
        assert read_header(data[:end]) is None


@versions
def test_nobody_in_particular(version: Version) -> None:
    data = write_header(version, None)
    assert read_header(data) == Header(version, len(data))
    assert write_header(version, (FOUR[0], SIX[1])) == data


def test_as_others_write_them() -> None:
    assert read_header(b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n") == Header(
        "v1", 56, ("255.255.255.255", 65535), ("255.255.255.255", 65535)
    )
    assert read_header(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n") == Header("v1", 35)
    extra = b"\x04\x00\x03abc"  # a TLV behind the addresses is skipped
    body = bytes((192, 0, 2, 1, 198, 51, 100, 2)) + b"\x9c\x40\x01\xbb" + extra
    head = V2 + b"\x21\x11" + len(body).to_bytes(2)
    assert read_header(head + body) == Header("v2", 16 + len(body), *FOUR)
    assert read_header(V2 + b"\x21\x31\x00\x02ab") == Header("v2", 18)  # of a Unix socket


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"PUT", b"\x16\x03\x01", b"\r\n\r\nx"])
def test_something_else(data: bytes) -> None:
    assert read_header(data) is ABSENT


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PROXY TCP4 1.2.3.4\r\n", "two addresses"),
        (b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "TCP4"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.400 1 2\r\n", "an address"),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n", "an address"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "a port"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "a port"),
        (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", "two addresses"),
        (b"PROXY " + b"x" * V1_LONGEST, "without end"),
        (V2 + b"\x11\x11\x00\x0c" + bytes(12), "version 2"),
        (V2 + b"\x22\x11\x00\x0c" + bytes(12), "version 2"),
        (V2 + b"\x21\x11\x00\x0b" + bytes(11), "too short"),
        (V2 + b"\x21\x11\xff\xff", "longer"),
    ],
)
def test_broken_ones(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedHeader, match=reason):
        read_header(data)


begun = st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 1.2.3.4 ", V2, V2 + b"\x21\x11", V2[:7]])


@given(begun, st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(start: bytes, rest: bytes) -> None:
    data = start + rest
    with suppress(MalformedHeader):
        header = read_header(data)
        assert header is None or header.length <= len(data)
        if header is None:
            assert len(data) < LONGEST
