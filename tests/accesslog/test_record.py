from __future__ import annotations

import pytest

from trioproxy.accesslog.record import Record


@pytest.mark.parametrize(
    ("added", "flags"),
    [
        ([], None),
        (["-"], None),
        (["UF"], "UF"),
        (["URX", "UF"], "UF,URX"),
        (["UF", "-", "UF"], "UF"),
        (["FI", "DC", "DI"], "DI,FI,DC"),
    ],
)
def test_flags_stand_once_each_and_as_envoy_orders_them(added: list[str], flags: str) -> None:
    record = Record(0.0, 0.0)
    for each in added:
        record.flag(each)
    assert record.flags == flags
