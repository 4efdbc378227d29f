from __future__ import annotations

from ipaddress import ip_address

import pytest

from trioproxy.filters.http.client_address import client_address, parse_address
from trioproxy.filters.testing import Client, exchange


@pytest.mark.parametrize(
    ("noted", "trusted_hops", "expected"),
    [
        ("198.51.100.1, 192.0.2.1", None, "192.0.2.1"),
        ("198.51.100.1, 192.0.2.1", 0, "192.0.2.1"),
        ("198.51.100.1, 192.0.2.1", 1, "198.51.100.1"),
        ("forged, 198.51.100.1, 192.0.2.1", 1, "198.51.100.1"),
        ("198.51.100.1 ,192.0.2.1", 1, "198.51.100.1"),
        ("192.0.2.1", 1, "192.0.2.1"),
        ("", 0, ""),
    ],
)
async def test_the_address(noted: str, trusted_hops: int | None, expected: str) -> None:
    asked = exchange(Client(), headers={"x-forwarded-for": noted}, remote=("192.0.2.1", 7))
    assert client_address(asked, trusted_hops) == expected


async def test_several_fields_are_one_list() -> None:
    asked = exchange(Client())
    asked.request.headers.add("x-forwarded-for", "198.51.100.1")
    asked.request.headers.add("x-forwarded-for", "198.51.100.2, 192.0.2.1")
    assert client_address(asked, 2) == "198.51.100.1"


async def test_no_header_and_no_address() -> None:
    assert client_address(exchange(Client(), remote=("192.0.2.9", 7)), 3) == "192.0.2.9"
    assert client_address(exchange(Client(), remote="/run/proxy.sock"), None) == ""


def test_addresses_are_read_in_any_form() -> None:
    assert parse_address("192.0.2.1") == ip_address("192.0.2.1")
    assert parse_address("::ffff:192.0.2.1") == ip_address("192.0.2.1")
    assert parse_address("2001:db8::1") == ip_address("2001:db8::1")
    assert parse_address("unknown") is None
    assert parse_address("") is None
