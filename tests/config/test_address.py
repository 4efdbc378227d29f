from __future__ import annotations

import socket
from pathlib import Path

import pytest

from trioproxy.config.address import Address


@pytest.mark.parametrize(
    ("text", "family", "sockaddr", "stat_name"),
    [
        ("127.0.0.1:80", socket.AF_INET, ("127.0.0.1", 80), "127.0.0.1_80"),
        ("[::1]:443", socket.AF_INET6, ("::1", 443), "[__1]_443"),
        ("unix:/run/app.sock", socket.AF_UNIX, "/run/app.sock", "/run/app.sock"),
        ("unix:@app", socket.AF_UNIX, "\0app", "@app"),
    ],
)
def test_each_kind_of_address(
    text: str, family: int, sockaddr: tuple[str, int] | str, stat_name: str
) -> None:
    address = Address.parse(text)
    assert (address.family, address.sockaddr, address.stat_name) == (family, sockaddr, stat_name)
    assert str(address) == text


def test_two_spellings_of_an_address_are_equal() -> None:
    assert Address.parse("[0:0:0:0::1]:80") == Address.parse("[::1]:80")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost:80", r"did you mean 127\.0\.0\.1\?"),
        ("example.org:80", "not a literal IPv4 address"),
        ("127.1:80", "not a literal IPv4 address"),
        ("[fe80::1%eth0]:80", "not a literal IPv6 address"),
        ("::1:80", r'"\[::1\]:80"'),
        ("127.0.0.1", "expected an address"),
        ("127.0.0.1:", "expected a port"),
        ("127.0.0.1:65536", "expected a port from 0 to 65535, found '65536'"),
        ("127.0.0.1:-1", "expected a port"),
        ("unix:", "expected a path"),
        ("unix:@", "expected a path"),
        ("unix:/" + "x" * 107, "a socket path of 108 bytes; at most 107"),
    ],
)
def test_what_is_no_address_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Address.parse(text)


def test_a_relative_socket_path_is_relative_to_the_configuration() -> None:
    directory = Path("/etc/proxy")
    assert str(Address.parse("unix:app.sock").under(directory)) == "unix:/etc/proxy/app.sock"
    for text in ("unix:/app.sock", "unix:@app", "127.0.0.1:80"):
        assert str(Address.parse(text).under(directory)) == text
