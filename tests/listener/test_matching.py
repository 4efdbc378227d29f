"""Which chain is for whom: a table of matches and arrivals."""

from __future__ import annotations

import pytest

from trioproxy.config.filter_chain import ANYTHING, FilterChainMatch
from trioproxy.listener.matching import Arrival, Matcher

MATCHES = {
    "port": FilterChainMatch(destination_port=8443),
    "exact": FilterChainMatch(server_names=("www.example.org",)),
    "deep": FilterChainMatch(server_names=("*.shop.example.org",)),
    "wild": FilterChainMatch(server_names=("*.example.org",)),
    "h2": FilterChainMatch(application_protocols=("h2",)),
    "near": FilterChainMatch(source_prefix_ranges=("10.1.0.0/16", "fd00::/8")),
    "far": FilterChainMatch(source_prefix_ranges=("10.0.0.0/8",)),
    "plain": FilterChainMatch(transport_protocol="raw_buffer"),
    "rest": ANYTHING,
}


def chosen(*, without: str = "", **facts: object) -> str | None:
    names = [name for name in MATCHES if name != without]
    arrival = Arrival(**{"tls": True, **facts})  # type: ignore[arg-type]
    index = Matcher(MATCHES[name] for name in names).choose(arrival)
    return None if index is None else names[index]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"server_name": "www.example.org"}, "exact"),
        ({"server_name": "WWW.example.org."}, "exact"),
        ({"server_name": "a.example.org"}, "wild"),
        ({"server_name": "a.b.example.org"}, "wild"),
        ({"server_name": "a.shop.example.org"}, "deep"),
        ({"server_name": "example.org"}, "rest"),
        ({"server_name": "www.example.org", "port": 8443}, "port"),
        ({"server_name": "www.example.org", "protocols": ("h2",)}, "exact"),
        ({"protocols": ("http/1.1", "h2")}, "h2"),
        ({"source": "10.1.2.3"}, "near"),
        ({"source": "10.2.2.3"}, "far"),
        ({"source": "fd00::1"}, "near"),
        ({"source": "192.0.2.1"}, "rest"),
        ({"tls": False}, "plain"),
        ({"tls": False, "source": "10.1.2.3"}, "plain"),
    ],
)
def test_the_most_specific_one(facts: dict[str, object], expected: str) -> None:
    assert chosen(**facts) == expected


def test_nobody_is_for_it() -> None:
    assert chosen(without="rest", server_name="other.net") is None


def test_only_what_asks_for_it_has_first_bytes_looked_at() -> None:
    assert not Matcher([MATCHES["port"], MATCHES["near"], ANYTHING]).inspects
    assert Matcher([MATCHES["wild"], ANYTHING]).inspects
