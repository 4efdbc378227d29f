from __future__ import annotations

from trioproxy.clusters.naming import named


def test_the_first_few_are_named() -> None:
    assert named([]) == ""
    assert named(["a", "b"]) == "a, b"
    assert named([*"abcdefghij"]) == "a, b, c, d, e, f, g, h, i, j"
    assert named([*"abcdefghijkl"]) == "a, b, c, d, e, f, g, h, i, j, and 2 more"
