"""`/certs`, and the days until the first certificate expires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from secure import terms

from trioproxy.config.loader import load
from trioproxy.filters.registry import REGISTRY

if TYPE_CHECKING:
    import httpx
    from certificates import Authority, Pair
    from conftest import FakeInstance

    from trioproxy.admin.view import View


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("a.org", "spiffe://here/a", days=30.5)


@pytest.fixture(autouse=True)
def configured(instance: FakeInstance, authority: Authority, pair: Pair) -> None:
    """A listener that shows a certificate, and a cluster that trusts the authority."""
    relay = "{tcp_proxy: {stat_prefix: a, cluster: app}}"
    text = f"""
listeners: [{{name: a, address: 127.0.0.1:1, {terms(pair)}, filters: [{relay}]}}]
clusters: [{{name: app, endpoints: [127.0.0.1:2], tls: {{trusted_ca: {authority.path}}}}}]
"""
    instance.config = load(None, text, REGISTRY).config


async def test_certificates_are_listed(
    client: httpx.AsyncClient, authority: Authority, pair: Pair
) -> None:
    """A85."""
    listener, cluster = (await client.get("/certs")).json()["certificates"]
    [shown] = listener["cert_chain"]
    assert shown["path"] == str(pair.certificate)
    assert shown["subject_alt_names"] == [{"dns": "a.org"}, {"uri": "spiffe://here/a"}]
    assert shown["days_until_expiration"] == "30"
    assert int(shown["serial_number"], 16)
    assert shown["valid_from"] < shown["expiration_time"]
    assert listener["ca_cert"] == []
    [trusted] = cluster["ca_cert"]
    assert trusted["path"] == str(authority.path)


async def test_a_file_that_is_gone(client: httpx.AsyncClient, pair: Pair, view: View) -> None:
    pair.certificate.unlink()
    listener, _ = (await client.get("/certs")).json()["certificates"]
    assert listener["cert_chain"][0].keys() == {"path", "error"}
    assert view.stats.snapshot().gauges["server.days_until_first_cert_expiring"] == 2**32 - 1


async def test_the_first_one_to_expire(view: View) -> None:
    assert view.stats.snapshot().gauges["server.days_until_first_cert_expiring"] == 30
