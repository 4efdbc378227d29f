from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.config.units import DURATION, LONGEST, PERCENTAGE, SIZE, Unit


@pytest.mark.parametrize(
    ("unit", "text", "value"),
    [
        (DURATION, "5s", 5.0),
        (DURATION, "250ms", 0.25),
        (DURATION, "1.5h", 5400.0),
        (DURATION, "2 m", 120.0),
        (DURATION, "0", 0.0),
        (SIZE, "64KiB", 65536),
        (SIZE, "1GiB", 2**30),
        (PERCENTAGE, "20%", 0.2),
        (PERCENTAGE, "0.5%", 0.005),
    ],
)
def test_a_quantity_is_read_in_base_units(unit: Unit, text: str, value: float) -> None:
    assert unit.parse(text) == value


@pytest.mark.parametrize(
    ("unit", "text", "reason"),
    [
        (DURATION, "15", "did you mean 15s?"),
        (DURATION, "15sec", "did you mean 15s?"),
        (DURATION, "soon", "expected a duration such as 5s, 250ms or 1h, found 'soon'"),
        (DURATION, "-5s", "found '-5s'"),
        (DURATION, "1d", "found '1d'$"),
        (DURATION, "9999999h", "more than the largest"),
        (SIZE, "64KB", "did you mean 64KiB?"),
        (SIZE, "5", "did you mean 5B?"),
        (PERCENTAGE, "20", "did you mean 20%?"),
        (PERCENTAGE, "120%", "more than the largest, 100%"),
    ],
)
def test_a_mistake_is_told_with_what_was_expected(unit: Unit, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("?", r"\?")):
        unit.parse(text)


@given(st.integers(0, int(LONGEST) * 1000))
def test_what_is_formatted_is_read_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert DURATION.parse(DURATION.format(seconds)) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (DURATION, 3600.0, "1h"),
        (DURATION, 5.0, "5s"),
        (DURATION, 0.025, "25ms"),
        (DURATION, 0.0, "0s"),
        (SIZE, 61440, "60KiB"),
        (PERCENTAGE, 0.005, "0.5%"),
    ],
)
def test_a_quantity_is_formatted_as_a_person_would_write_it(
    unit: Unit, value: float, text: str
) -> None:
    assert unit.format(value) == text
