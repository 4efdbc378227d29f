from __future__ import annotations

import pytest

from trioproxy.accesslog.start_time import compile_start_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%Y-%m-%dT%H:%M:%S.%3fZ", "2023-11-14T22:13:20.123Z"),
        ("%d/%b/%Y:%H:%M:%S +0000", "14/Nov/2023:22:13:20 +0000"),
        ("%s", "1700000000"),
        ("%s.%6f|%1f", "1700000000.123000|1"),
        ("%s%3f", "1700000000123"),
        ("%%f %%s %H", "%f %s 22"),
        ("%%%3f", "%123"),
        ("no time at all", "no time at all"),
    ],
)
def test_start_time_by_strftime_in_utc(text: str, expected: str) -> None:
    assert compile_start_time(text)(1700000000.123) == expected


def test_fraction_digits_are_cut_but_not_torn_by_binary_floats() -> None:
    render = compile_start_time("%s.%3f")
    assert render(1700000000.001) == "1700000000.001"
    assert render(1700000000.9996) == "1700000000.999"
    assert render(1700000000.9999999) == "1700000001.000"


def test_the_second_that_is_remembered_follows_the_clock_both_ways() -> None:
    render = compile_start_time("%H:%M:%S")
    assert [render(moment) for moment in (0.5, 0.9, 61.0, 0.5)] == [
        "00:00:00",
        "00:00:00",
        "00:01:01",
        "00:00:00",
    ]


@pytest.mark.parametrize("text", ["%Q", "%Y-%", "%0f", "%33f"])
def test_an_unknown_directive_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="START_TIME"):
        compile_start_time(text)
