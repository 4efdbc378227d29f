from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region
from trioproxy.stats.table import RegionFull
from trioproxy.stats.upstream import HostStats
from trioproxy.upstream import figures
from trioproxy.upstream.figures import HostFigures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioproxy.stats.writer import Writer

A, B, C = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"


@pytest.fixture
def region() -> Iterator[Region]:
    with Region.create() as region:
        yield region


@pytest.fixture
def writer(region: Region) -> Iterator[Writer]:
    with region.claim(0, 0) as writer:
        yield writer


def totals(region: Region) -> dict[str, int]:
    with Reader(region, 0) as reader:
        found = reader.snapshot().hidden.items()
        return {name: value for name, value in found if name.endswith("rq_total") and value}


def test_a_host_that_returns_counts_on(region: Region, writer: Writer) -> None:
    hosts = HostFigures(writer, "app", HostStats)
    hosts.of(A).rq_total.add()
    assert hosts.of(B) is not hosts.of(A)
    hosts.of(A).rq_total.add()
    assert totals(region) == {"cluster.app.host.127.0.0.1_1.rq_total": 2}


def test_after_very_many_hosts_the_later_ones_share(
    region: Region, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MOST", 1)
    hosts = HostFigures(writer, "app", HostStats)
    for key in (A, B, C):
        hosts.of(key).rq_total.add()
    assert totals(region) == {
        "cluster.app.host.127.0.0.1_1.rq_total": 1,
        "cluster.app.host.rest.rq_total": 2,
    }


def test_where_there_is_no_room_for_names_hosts_are_served_all_the_same(
    region: Region,
    writer: Writer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hosts = HostFigures(writer, "app", HostStats)

    def no_room(wanted: object) -> None:
        raise RegionFull("no room for 8 more names of statistics")

    monkeypatch.setattr(writer, "handles", no_room)
    for _ in range(2):
        hosts.of(A).rq_total.add()
    assert totals(region) == {"cluster.app.host.rest.rq_total": 2}
    assert caplog.messages == [
        f"cluster app: host {A} is not counted: no room for 8 more names of statistics"
    ]
