"""What fits together in TLS, and what does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trioproxy.config.filter_chain import FilterChainMatch
from trioproxy.config.marks import Invalid
from trioproxy.config.tls import AltNameMatch, DownstreamTls, Pair, UpstreamTls

FILE = Path("file.pem")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"certificate": FILE}, "belong together"),
        ({}, "expected one of certificate and certificates"),
        (
            {"certificate": FILE, "private_key": FILE, "certificates": (Pair(FILE, FILE),)},
            "expected one of certificate and certificates",
        ),
        (
            {"certificate": FILE, "private_key": FILE, "require_client_certificate": True},
            "require_client_certificate needs a trusted_ca",
        ),
        (
            {
                "certificate": FILE,
                "private_key": FILE,
                "match_subject_alt_names": (AltNameMatch(exact="a"),),
            },
            "match_subject_alt_names needs a trusted_ca",
        ),
        ({"certificate": FILE, "private_key": FILE, "crl": FILE}, "crl needs a trusted_ca"),
        (
            {
                "certificate": FILE,
                "private_key": FILE,
                "minimum_version": "TLSv1.3",
                "maximum_version": "TLSv1.2",
            },
            "less than minimum_version",
        ),
    ],
)
def test_towards_clients(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        DownstreamTls(**fields)  # type: ignore[arg-type]


def test_towards_upstreams() -> None:
    with pytest.raises(Invalid, match="nothing is matched"):
        UpstreamTls(trusted_ca=FILE, verify_server=False)
    assert UpstreamTls().needs_name
    assert not UpstreamTls(sni="a").needs_name
    assert not UpstreamTls(verify_server=False).needs_name


@pytest.mark.parametrize(
    ("match", "passes", "fails"),
    [
        (AltNameMatch(exact="a.org"), "a.org", "b.a.org"),
        (AltNameMatch(prefix="a."), "a.org", "b.a.org"),
        (AltNameMatch(suffix=".org"), "a.org", "a.net"),
        (AltNameMatch(regex=re.compile("[ab].org")), "b.org", "ab.org"),
    ],
)
def test_names_of_peers(match: AltNameMatch, passes: str, fails: str) -> None:
    assert match.accepts("DNS", passes)
    assert not match.accepts("DNS", fails)


def test_kinds_of_names_are_told_apart() -> None:
    assert AltNameMatch(exact="a", type="uri").accepts("URI", "a")
    assert not AltNameMatch(exact="a", type="uri").accepts("DNS", "a")
    with pytest.raises(Invalid, match="expected one of"):
        AltNameMatch(exact="a", prefix="a")


def test_a_network_is_written_without_host_bits() -> None:
    with pytest.raises(Invalid, match=r"did you mean 10.0.0.0/8\?"):
        FilterChainMatch(source_prefix_ranges=("10.1.0.0/8",))
