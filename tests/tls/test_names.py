"""The most specific of several names."""

from __future__ import annotations

import pytest

from trioproxy.tls.names import by_name

NAMES = {"a.org": 1, "*.a.org": 2, "*.b.a.org": 3}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.org", 1),
        ("A.ORG.", 1),
        ("x.a.org", 2),
        ("x.y.a.org", 2),
        ("x.b.a.org", 3),
        ("org", None),
    ],
)
def test_by_name(name: str, found: int | None) -> None:
    assert by_name(NAMES, name) == found
