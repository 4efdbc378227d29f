from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.downstream import HttpStats
from trioproxy.stats.reader import Reader

if TYPE_CHECKING:
    from trioproxy.stats.region import Region


@pytest.mark.parametrize(
    ("status", "name"), [(101, "1xx"), (200, "2xx"), (304, "3xx"), (499, "4xx"), (999, "5xx")]
)
def test_a_response_counts_in_its_class(region: Region, status: int, name: str) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        HttpStats(writer, "ingress").responses.add(status)
        used = {key: value for key, value in reader.snapshot().counters.items() if value}
        assert used == {
            "http.ingress.downstream_rq_completed": 1,
            f"http.ingress.downstream_rq_{name}": 1,
        }
