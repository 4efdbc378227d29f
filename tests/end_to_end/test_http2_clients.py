"""HTTP/2 of the real proxy, plain and over TLS, to curl, h2load, nghttp and httpx."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

import attrs
import httpx
import pytest
from programs import nginx, run
from sites import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certificates import Authority
    from conftest import Running

pytestmark = pytest.mark.foreign

YAML = """
listeners:
- name: web
  address: 127.0.0.1:{web}
  filters: &filters
  - http_connection_manager:
      stat_prefix: web
      routes:
      - {{match: {{prefix: /again}}, route: {{cluster: again, prefix_rewrite: /}}}}
      - {{match: {{prefix: /secure}}, route: {{cluster: secure, prefix_rewrite: /}}}}
      - {{match: {{prefix: /}}, route: {{cluster: app}}}}
- name: secure
  address: 127.0.0.1:{secure}
  tls:
    certificate: {pair.certificate}
    private_key: {pair.private_key}
    alpn: [h2, http/1.1]
  filters: *filters
clusters:
- {{name: app, endpoints: ["unix:{socket}"]}}
- {{name: again, protocol: http2, endpoints: ["127.0.0.1:{web}"]}}
- name: secure
  protocol: auto
  tls: {{trusted_ca: {authority.path}, sni: localhost}}
  endpoints: ["127.0.0.1:{secure}"]
"""
PATHS = ["/", "/again", "/secure"]


@attrs.frozen
class Site:
    """Where the proxy is; `ca` has signed its certificate."""

    web: int
    secure: int
    ca: str

    @property
    def urls(self) -> tuple[str, str]:
        """The same, plain and over TLS."""
        return f"http://localhost:{self.web}", f"https://localhost:{self.secure}"


@pytest.fixture(scope="module")
def site(
    running: Running, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    pair = authority.issue("localhost", "127.0.0.1")
    with nginx() as socket:
        site = Site(free_port(), free_port(), str(authority.path))
        yaml = YAML.format(
            web=site.web, secure=site.secure, pair=pair, authority=authority, socket=socket
        )
        with running(yaml, tmp_path_factory.mktemp("proxy"), workers=2):
            yield site


@pytest.mark.parametrize("path", PATHS)
def test_curl(site: Site, path: str) -> None:
    for url, option in zip(site.urls, ("--http2-prior-knowledge", "--http2"), strict=True):
        wanted = ("-w", "%{http_version} %{response_code}", "--cacert", site.ca, "--max-time", "9")
        assert run("curl", "-sS", option, *wanted, url + path) == "hello from nginx\n2 200"


def test_curl_without_http2_is_served_all_the_same(site: Site) -> None:
    wanted = ("-w", "%{http_version}", "--cacert", site.ca, "--max-time", "9", "--http1.1")
    assert run("curl", "-sS", *wanted, site.urls[1]).endswith("1.1")


@pytest.mark.parametrize("path", PATHS)
def test_h2load(site: Site, path: str) -> None:
    for url in site.urls:
        said = run("h2load", "-n2000", "-c8", "-m8", "-t1", url + path)
        assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in said
        assert "status codes: 2000 2xx" in said
        assert "Application protocol: h2" in said


def test_nghttp(site: Site) -> None:
    """It sends PRIORITY frames, and several requests at a time."""
    said = run("nghttp", "-nv", "--no-dep", *[f"{site.urls[0]}{path}" for path in PATHS])
    assert len(re.findall(r":status: 200", said)) == 3
    said = run("nghttp", "-nv", "-m20", site.urls[0] + "/")
    assert len(re.findall(r":status: 200", said)) == 20


def test_httpx(site: Site) -> None:
    trust = ssl.create_default_context(cafile=site.ca)
    with httpx.Client(http2=True, verify=trust) as client:
        for path in PATHS * 3:
            answer = client.get(site.urls[1] + path)
            assert (answer.http_version, answer.text) == ("HTTP/2", "hello from nginx\n")
        answer = client.post(site.urls[1] + "/again", content=bytes(300_000))
        assert answer.status_code == 200
