"""ClientHellos as OpenSSL writes them, in any pieces, and anything else."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.tls.hello import LONGEST, ClientHello, NotTls, read_hello


def hello(name: str | None = "Example.org", protocols: tuple[str, ...] = ()) -> bytes:
    """What a client says first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


def records(data: bytes, size: int) -> bytes:
    """The same message in records of `size` bytes."""
    head, message = data[:3], data[5:]
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    return b"".join(head + len(piece).to_bytes(2) + piece for piece in pieces)


def test_what_it_says() -> None:
    assert read_hello(hello()) == ClientHello("example.org")
    both = hello(protocols=("h2", "http/1.1"))
    assert read_hello(both) == ClientHello("example.org", ("h2", "http/1.1"))
    assert read_hello(hello(None)) == ClientHello()


def test_what_comes_behind_does_not_matter() -> None:
    assert read_hello(hello() + b"anything") == ClientHello("example.org")


def test_a_byte_less_is_not_enough() -> None:
    data = hello()
    for end in range(len(data)):
        assert read_hello(data[:end]) is None


def test_it_may_come_in_several_records() -> None:
    assert read_hello(records(hello(), 100)) == ClientHello("example.org")
    with pytest.raises(NotTls, match="too many"):
        read_hello(records(hello(), 2))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not a handshake"),
        (b"\x16\x02\x00\x00\x05hello", "not a version"),
        (b"\x16\x03\x01\x00\x00", "a length"),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", "not a ClientHello"),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", "cut short"),
    ],
)
def test_what_is_something_else(data: bytes, reason: str) -> None:
    with pytest.raises(NotTls, match=reason):
        read_hello(data)


def test_a_name_is_no_longer_than_names_are() -> None:
    name = ".".join(["a" * 63] * 4)
    data = hello(name[:250])
    assert read_hello(data) == ClientHello(name[:250])
    at = data.index(name[:250].encode()) - 9  # the extension with its lengths
    longer = name[:250].encode() * 2
    size = len(longer)
    inner = (size + 3).to_bytes(2) + b"\0" + size.to_bytes(2) + longer
    extension = b"\0\0" + len(inner).to_bytes(2) + inner
    rest = data[at + 9 + 250 :]
    grown = len(extension) - 9 - 250
    whole = bytearray(data[:at] + extension + rest)
    whole[3:5] = (int.from_bytes(data[3:5]) + grown).to_bytes(2)
    whole[6:9] = (int.from_bytes(data[6:9]) + grown).to_bytes(3)
    start = extensions_at(data)
    whole[start : start + 2] = (int.from_bytes(data[start : start + 2]) + grown).to_bytes(2)
    with pytest.raises(NotTls, match="longer than any"):
        read_hello(bytes(whole))


def extensions_at(data: bytes) -> int:
    """Where the length of the extensions stands."""
    at = 5 + 4 + 34
    at += 1 + data[at]
    at += 2 + int.from_bytes(data[at : at + 2])
    return at + 1 + data[at]


def test_it_ends_somewhere() -> None:
    endless = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(LONGEST)
    assert read_hello(endless[: LONGEST - 1]) is None
    with pytest.raises(NotTls, match="without end"):
        read_hello(endless[:LONGEST])


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(NotTls):
        assert isinstance(read_hello(data), ClientHello | None)


@given(st.data())
def test_a_broken_one_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(hello(protocols=("h2",)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    with suppress(NotTls):
        assert isinstance(read_hello(bytes(whole)), ClientHello | None)
