"""The admin interface of real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Instance, Running
    from prometheus_client import Metric

YAML = """
admin: {address: 127.0.0.1:0, allow_hosts: [proxy.example]}
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: web
      http_filters: [{health_check: {path: /healthz}}, router: {}]
      routes: [{match: {prefix: /}, direct_response: {status: 204}}]
"""
ENOUGH = 64  # connections that reach every worker, but for one time in 2 ** 63
ASKED = "http.web.downstream_rq_total"
ACTIVE = "http.web.downstream_cx_active"


@pytest.fixture
def proxy(running: Running, tmp_path: Path) -> Iterator[Instance]:
    options = ("--admin-address-path", str(tmp_path / "admin"))
    with running(YAML, tmp_path, *options, workers=2) as proxy:
        yield proxy


@pytest.fixture
def admin(proxy: Instance, tmp_path: Path) -> Iterator[httpx.Client]:
    """A09: a file says where admin is."""
    address = (tmp_path / "admin").read_text()
    assert address == f"127.0.0.1:{proxy.ports['admin']}"
    with httpx.Client(base_url=f"http://{address}") as client:
        yield client


def ask(proxy: Instance, count: int) -> None:
    """Ask for something so often, each time on a new connection."""
    for _ in range(count):
        with proxy.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 204 ")


def stat(admin: httpx.Client, name: str) -> int:
    text = admin.get("/stats", params={"filter": f"^{re.escape(name)}$"}).text
    return int(text.removeprefix(f"{name}: "))


def test_it_tells_what_serves(admin: httpx.Client) -> None:
    """A07: the version of hot restart is the one that the command line says."""
    command = [sys.executable, "-m", "trioproxy", "--hot-restart-version"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert admin.get("/hot_restart_version").text == said.strip()
    assert admin.get("/ready").text == "LIVE\n"
    assert "web::127.0.0.1:" in admin.get("/listeners").text
    assert admin.get("/server_info").json()["command_line_options"]["concurrency"] == 2


def test_counters_are_exact_over_workers_and_their_deaths(
    proxy: Instance, admin: httpx.Client
) -> None:
    ask(proxy, 50)
    assert stat(admin, ASKED) == 50
    os.kill(proxy.workers[0], signal.SIGKILL)
    proxy.wait_for("killed by SIGKILL")
    assert stat(admin, ASKED) == 50
    proxy.wait_for("is ready")
    ask(proxy, 50)
    assert stat(admin, ASKED) == 100


def test_what_changes_something_is_posted(proxy: Instance, admin: httpx.Client) -> None:
    """A84, A86."""
    ask(proxy, 10)
    with proxy.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        client.recv(1000)
        while stat(admin, ACTIVE) > 1:
            pass  # the others are gone, but their workers may not have been told yet
        assert admin.get("/reset_counters").status_code == 405
        assert stat(admin, ASKED) == 11
        assert admin.post("/reset_counters").text == "OK\n"
        assert stat(admin, ASKED) == 0
        assert stat(admin, ACTIVE) == 1


def test_it_ends_the_proxy(proxy: Instance, admin: httpx.Client) -> None:
    assert admin.get("/quitquitquit").status_code == 405
    assert admin.post("/quitquitquit").text == "OK\n"
    assert proxy.wait_gone() == 0


def statuses(proxy: Instance, path: str) -> set[int]:
    """Return what the workers answer, each on connections of its own."""
    url = f"http://127.0.0.1:{proxy.ports['web']}{path}"
    return {httpx.get(url).status_code for _ in range(ENOUGH)}


def test_failed_health_reaches_every_worker_and_whoever_replaces_one(
    proxy: Instance, admin: httpx.Client
) -> None:
    """A68."""
    assert statuses(proxy, "/healthz") == {200}

    assert admin.post("/healthcheck/fail").text == "OK\n"
    ready = admin.get("/ready")
    assert (ready.status_code, ready.text) == (503, "DRAINING\n")
    assert statuses(proxy, "/healthz") == {503}
    assert statuses(proxy, "/else") == {204}

    os.kill(proxy.workers[0], signal.SIGKILL)
    proxy.wait_for("killed by SIGKILL")
    proxy.wait_for("is ready")
    assert statuses(proxy, "/healthz") == {503}

    assert admin.post("/healthcheck/ok").text == "OK\n"
    ready = admin.get("/ready")
    assert (ready.status_code, ready.text) == (200, "LIVE\n")
    assert statuses(proxy, "/healthz") == {200}


def test_the_servers_own_statistics(proxy: Instance, admin: httpx.Client) -> None:
    """A83, for a single generation."""
    with proxy.connect(), proxy.connect():
        while stat(admin, "server.total_connections") < 2:
            pass
        stats = admin.get("/stats?format=json&filter=^server").json()["stats"]
    values = {each["name"]: each["value"] for each in stats if "name" in each}
    assert {
        "server.live": 1,
        "server.state": 0,
        "server.concurrency": 2,
        "server.hot_restart_epoch": 0,
        "server.hot_restart_generation": 1,
        "server.parent_connections": 0,
        "server.total_connections": 2,
        "server.worker_0.watchdog_miss": 0,
        "server.worker_1.watchdog_mega_miss": 0,
    }.items() <= values.items()
    (histogram,) = stats[-1]["histograms"]["computed_quantiles"]
    assert histogram["name"] == "server.initialization_time_ms"
    assert histogram["values"][0]["cumulative"] > 1


@pytest.mark.parametrize(("host", "status"), [("proxy.example", 200), ("evil.example", 403)])
def test_names_that_the_operator_allows(admin: httpx.Client, host: str, status: int) -> None:
    assert admin.get("/ready", headers={"host": host}).status_code == status


def test_prometheus_own_parser_understands_it_all(proxy: Instance, admin: httpx.Client) -> None:
    """A85: each metric in one piece and of one kind, no series twice, histograms that add up."""
    ask(proxy, 10)
    families = list(text_string_to_metric_families(admin.get("/stats/prometheus").text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)) > 50
    assert {family.type for family in families} == {"counter", "gauge", "histogram"}
    samples = [each for family in families for each in family.samples]
    series = [(each.name, *sorted(each.labels.items())) for each in samples]
    assert len(series) == len(set(series))
    for family in families:
        if family.type == "histogram":
            check_histogram(family)


def check_histogram(family: Metric) -> None:
    by_labels: dict[object, dict[str, list[float]]] = {}
    for sample in family.samples:
        labels = tuple(sorted(item for item in sample.labels.items() if item[0] != "le"))
        found = by_labels.setdefault(labels, {"_bucket": [], "_count": [], "_sum": []})
        found[sample.name.removeprefix(family.name)].append(sample.value)
    for found in by_labels.values():
        assert found["_bucket"] == sorted(found["_bucket"])
        assert found["_bucket"][-1:] == found["_count"]
        assert len(found["_sum"]) == 1
