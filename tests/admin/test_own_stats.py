"""What main writes of itself is true at each reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.admin.instance import State
from trioproxy.admin.own_stats import version_number

if TYPE_CHECKING:
    from admin.conftest import FakeInstance
    from trioproxy.admin.view import View
    from trioproxy.stats.region import Region


def test_what_is_configured(view: View) -> None:
    snapshot = view.stats.snapshot()
    assert {
        "server.concurrency": 2,
        "server.hot_restart_epoch": 3,
        "server.hot_restart_generation": 4,
        "server.days_until_first_cert_expiring": 4294967295,
        "listener_manager.total_listeners_active": 2,
        "cluster_manager.active_clusters": 2,
    }.items() <= snapshot.gauges.items()
    assert {
        "listener_manager.listener_added": 2,
        "listener_manager.listener_create_success": 4,
        "cluster_manager.cluster_added": 2,
    }.items() <= snapshot.counters.items()


def test_gauges_are_as_of_now(view: View, instance: FakeInstance) -> None:
    instance.state, instance.uptime = State.INITIALIZING, 0.7
    instance.missing = {"app": "no such name"}
    before = view.stats.snapshot().gauges
    instance.state, instance.uptime, instance.missing = State.LIVE, 61.0, {}
    after = view.stats.snapshot().gauges
    names = ["uptime", "state", "live"]
    assert [before[f"server.{name}"] for name in names] == [0, 3, 0]
    assert [after[f"server.{name}"] for name in names] == [61, 0, 1]
    clusters = [f"cluster_manager.{name}_clusters" for name in ("warming", "active")]
    assert [before[name] for name in clusters] == [1, 1]
    assert [after[name] for name in clusters] == [0, 2]
    assert before["listener_manager.workers_started"] == 0
    assert after["listener_manager.workers_started"] == 1
    assert after["server.memory_physical_size"] > after["server.memory_allocated"] > 0


def test_parents_connections_are_those_of_all_older_generations(view: View, region: Region) -> None:
    total = "server.total_connections"
    with region.claim(2, 0) as parent, region.claim(1, 0) as older, region.claim(3, 0) as own:
        parent.gauge(total).add(5)
        older.gauge(total).add(2)
        own.gauge(total).add(30)
        gauges = view.stats.snapshot().gauges
        assert gauges["server.parent_connections"] == 7
        assert gauges[total] == 37
    assert view.stats.snapshot().gauges["server.parent_connections"] == 0


@pytest.mark.parametrize(("version", "number"), [("0.1.0", 100), ("1.22.3", 12203)])
def test_a_version_is_a_number(version: str, number: int) -> None:
    assert version_number(version) == number
