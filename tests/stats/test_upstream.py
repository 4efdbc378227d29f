from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.family import sanitized
from trioproxy.stats.reader import Reader
from trioproxy.stats.upstream import ClusterStats, HostStats, host_scope

if TYPE_CHECKING:
    from trioproxy.stats.region import Region


@pytest.mark.parametrize(
    ("status", "name"), [(101, "1xx"), (200, "2xx"), (304, "3xx"), (499, "4xx"), (999, "5xx")]
)
def test_a_response_counts_in_its_class(region: Region, status: int, name: str) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        ClusterStats(writer, "app").responses.add(status)
        used = {key: value for key, value in reader.snapshot().counters.items() if value}
        assert used == {
            "cluster.app.upstream_rq_completed": 1,
            f"cluster.app.upstream_rq_{name}": 1,
        }


def test_a_host_is_found_but_not_listed(region: Region) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        host = HostStats(writer, "app", "127.0.0.1:8080")
        host.cx_active.add()
        host.rq_total.add(3)
        snapshot = reader.snapshot()
        assert not snapshot.counters
        assert not snapshot.gauges
        scope = sanitized(host_scope("app", "127.0.0.1:8080"))
        assert snapshot.hidden[f"{scope}.cx_active"] == 1
        assert snapshot.hidden[f"{scope}.rq_total"] == 3
