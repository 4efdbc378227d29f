"""wrk and h2load through the real proxy to nginx: keep-alive and load of their kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from programs import nginx, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Running

pytestmark = pytest.mark.foreign

YAML = """
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes: [{match: {prefix: /}, route: {cluster: app}}]
clusters:
- {name: app, endpoints: ["unix:$socket"]}
"""


@pytest.fixture(scope="module")
def url(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nginx() as socket:
        yaml = YAML.replace("$socket", str(socket))
        with running(yaml, tmp_path_factory.mktemp("proxy"), workers=2) as proxy:
            yield f"http://127.0.0.1:{proxy.ports['web']}/"


def test_wrk(url: str) -> None:
    said = run("wrk", "-t1", "-c20", "-d1s", url)
    done = re.search(r"(\d+) requests in", said)
    assert done
    assert int(done[1]) > 100
    assert "Socket errors" not in said
    assert "Non-2xx" not in said


def test_h2load_with_http_1_1(url: str) -> None:
    said = run("h2load", "--h1", "-n5000", "-c20", "-t1", url)
    assert "5000 total, 5000 started, 5000 done, 5000 succeeded, 0 failed, 0 errored" in said


def test_h2load_with_pipelining(url: str) -> None:
    said = run("h2load", "--h1", "-n5000", "-c10", "-m10", "-t1", url)
    assert "5000 succeeded, 0 failed, 0 errored" in said
