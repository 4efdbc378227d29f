from __future__ import annotations

from math import inf

import pytest

from trioproxy.config.document import parse
from trioproxy.config.nodes import Scalar, Value, merge, plain
from trioproxy.config.problems import Place

HERE = Place("here", 1, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("12", 12),
        ("-012", -12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        ("-.5e3", -500.0),
        (".inf", inf),
        ("-.Inf", -inf),
        ("2001-01-01", "2001-01-01"),
        ("5s", "5s"),
    ],
)
def test_plain_scalars_mean_what_yaml_1_2_says(text: str, value: Value) -> None:
    found = Scalar(HERE, text).value
    assert (type(found), found) == (type(value), value)


def test_a_quoted_scalar_is_text() -> None:
    assert [Scalar(HERE, text, quoted=True).value for text in ("true", "5", "")] == [
        "true",
        "5",
        "",
    ]


def test_maps_merge_lists_are_appended_and_scalars_replaced() -> None:
    base = parse("{a: 1, b: {x: 1, y: [1]}, c: [1]}", "base")
    over = parse("{b: {y: [2], z: 3}, c: text, d: 4}", "over")
    assert plain(merge(base, over)) == {
        "a": 1,
        "b": {"x": 1, "y": [1, 2], "z": 3},
        "c": "text",
        "d": 4,
    }
