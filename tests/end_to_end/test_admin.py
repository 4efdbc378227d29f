"""The admin interface of the whole program: what it commands reaches every worker."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Instance

CONFIG = """
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


def admin_of(instance: Instance) -> str:
    return f"http://127.0.0.1:{instance.ports['admin']}"


def statuses(instance: Instance, path: str) -> set[int]:
    """Return what the workers answer, each on connections of its own."""
    url = f"http://127.0.0.1:{instance.ports['web']}{path}"
    return {httpx.get(url).status_code for _ in range(ENOUGH)}


def test_failed_health_reaches_every_worker_and_whoever_replaces_one(
    start_proxy: Callable[[str], Instance],
) -> None:
    """A68."""
    instance = start_proxy(CONFIG)
    with httpx.Client(base_url=admin_of(instance)) as admin:
        check_health(instance, admin)


def check_health(instance: Instance, admin: httpx.Client) -> None:
    assert statuses(instance, "/healthz") == {200}

    assert admin.post("/healthcheck/fail").text == "OK\n"
    ready = admin.get("/ready")
    assert (ready.status_code, ready.text) == (503, "DRAINING\n")
    assert statuses(instance, "/healthz") == {503}
    assert statuses(instance, "/else") == {204}

    os.kill(instance.workers[0], signal.SIGKILL)
    instance.wait_for("killed by SIGKILL")
    instance.wait_for("is ready")
    assert statuses(instance, "/healthz") == {503}

    assert admin.post("/healthcheck/ok").text == "OK\n"
    ready = admin.get("/ready")
    assert (ready.status_code, ready.text) == (200, "LIVE\n")
    assert statuses(instance, "/healthz") == {200}


def test_the_servers_own_statistics(start_proxy: Callable[[str], Instance]) -> None:
    """A83, for a single generation."""
    instance = start_proxy(CONFIG)
    url = admin_of(instance)
    with instance.connect(), instance.connect(), httpx.Client(base_url=url) as admin:
        while admin.get("/stats?filter=server.total_connections").text[-2:] != "2\n":
            pass
        stats = admin.get("/stats?format=json&filter=^server").json()["stats"]
    values = {stat["name"]: stat["value"] for stat in stats if "name" in stat}
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


def test_names_that_the_operator_allows(start_proxy: Callable[[str], Instance]) -> None:
    instance = start_proxy(CONFIG)
    for host, status in (("proxy.example", 200), ("evil.example", 403)):
        answer = httpx.get(f"{admin_of(instance)}/ready", headers={"host": host})
        assert answer.status_code == status
