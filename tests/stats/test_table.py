from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from trioproxy.stats import table as table_module
from trioproxy.stats.layout import ENTRY, FIRST_NAMED_CELL, HISTOGRAM_CELLS, NAMES_START, Kind
from trioproxy.stats.region import Region
from trioproxy.stats.table import Name, RegionFull

if TYPE_CHECKING:
    from trioproxy.stats.table import Table

TOTAL = Name(Kind.COUNTER, "http.ingress.rq_total")
TIME = Name(Kind.HISTOGRAM, "http.ingress.downstream_rq_time")
ACTIVE = Name(Kind.ACCUMULATE, "http.ingress.downstream_rq_active")


@pytest.fixture
def table(region: Region) -> Table:
    return region.table


def test_names_get_cells_in_order_and_keep_them(table: Table) -> None:
    table.use([TOTAL, TIME], epoch=0)
    table.use([ACTIVE, TIME, TOTAL], epoch=1)
    assert table.first == {
        TOTAL: FIRST_NAMED_CELL,
        TIME: FIRST_NAMED_CELL + 1,
        ACTIVE: FIRST_NAMED_CELL + 1 + HISTOGRAM_CELLS,
    }
    assert table.cells_end == FIRST_NAMED_CELL + 2 + HISTOGRAM_CELLS


def test_a_name_asked_for_twice_at_once_is_one_name(table: Table) -> None:
    table.use([TOTAL, TOTAL], epoch=0)
    assert table.cells_end == FIRST_NAMED_CELL + 1


def test_the_same_text_may_be_of_two_kinds(table: Table) -> None:
    table.use([TOTAL, Name(Kind.ACCUMULATE, TOTAL.text)], epoch=0)
    assert len(set(table.first.values())) == 2


def test_another_process_sees_what_was_appended(region: Region, table: Table) -> None:
    with Region.attach(region.fd) as other:
        table.use([TOTAL], epoch=0)
        other.table.refresh()
        other.table.use([Name(Kind.COUNTER, "größe")], epoch=0)
        table.refresh()
        assert table.first == other.table.first
        assert Name(Kind.COUNTER, "größe") in table.first


def test_who_died_half_way_through_appending_added_nothing(region: Region, table: Table) -> None:
    """A88: the lock is free again, and the table is whole."""
    table.use([TOTAL], epoch=0)
    end = NAMES_START + ENTRY.size + len(TOTAL.text)
    os.pwrite(region.fd, b"\xff" * 50, end)
    with Region.attach(region.fd) as other:
        other.table.use([ACTIVE], epoch=0)
        table.refresh()
        assert list(table.first) == [TOTAL, ACTIVE]


def test_kinds_of_a_later_version_keep_their_cells(region: Region, table: Table) -> None:
    other = Name(200, "later")
    table.use([TOTAL], epoch=0)
    raw = ENTRY.pack(len(other.text), other.kind, table.cells_end, 40) + other.text.encode()
    os.pwrite(region.fd, raw, NAMES_START + ENTRY.size + len(TOTAL.text))
    header = int.from_bytes(os.pread(region.fd, 8, 16), "little")
    os.pwrite(region.fd, (header + len(raw)).to_bytes(8, "little"), 16)
    table.use([ACTIVE], epoch=0)
    assert table.first[ACTIVE] == table.first[other] + 40


def test_the_newest_epoch_that_uses_a_name_is_remembered(table: Table) -> None:
    table.use([TOTAL, ACTIVE], epoch=4)
    table.use([TOTAL], epoch=5)
    table.use([TOTAL], epoch=4)
    marks = table.newest_use()
    assert (marks[table.first[TOTAL]], marks[table.first[ACTIVE]]) == (5, 4)


@pytest.mark.parametrize(
    ("limit", "value"),
    [("NAMES_SPACE", 40), ("BLOCK_CELLS", FIRST_NAMED_CELL + HISTOGRAM_CELLS)],
)
def test_a_full_region_refuses_and_stays_whole(
    table: Table, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    table.use([TOTAL], epoch=0)
    monkeypatch.setattr(table_module, limit, value)
    with pytest.raises(RegionFull, match="2 more names"):
        table.use([ACTIVE, TIME], epoch=0)
    assert list(table.first) == [TOTAL]
