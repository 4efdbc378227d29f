"""How quantities are written in the configuration: `5s`, `64KiB`, `20%`."""

from __future__ import annotations

import re
from math import isclose
from typing import Annotated

import attrs

from trioproxy.drain.span import Span

LONGEST = 2.0**32 - 1
QUANTITY = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-zµ%]*)")


@attrs.frozen
class Unit:
    """A number with a suffix; `factors` gives each suffix's worth, the smallest first."""

    noun: str
    example: str
    factors: tuple[tuple[str, float], ...]
    largest: float

    @property
    def expected(self) -> str:
        """What a mistake is told."""
        return f"a {self.noun} such as {self.example}"

    @property
    def pattern(self) -> str:
        """The regular expression of what is read, for the JSON Schema."""
        return rf"^(0|\d+(\.\d+)? ?({'|'.join(suffix for suffix, _ in self.factors)}))$"

    @property
    def plain(self) -> str:
        """The suffix of the base unit, or the only one."""
        return next((suffix for suffix, factor in self.factors if factor == 1), self.factors[0][0])

    def parse(self, text: str) -> float:
        """Return the quantity in base units (seconds, bytes, a fraction of 1).

        A bare `0` needs no suffix. Raises ValueError saying what was expected.
        """
        match = QUANTITY.fullmatch(text)
        number, suffix = match.groups() if match else ("", "")
        factor = dict(self.factors).get(suffix)
        if not number or (factor is None and text != "0"):
            guess = self._guess(number, suffix) if number else ""
            raise ValueError(f"expected {self.expected}, found {text!r}{guess}")
        value = round(float(number) * (factor or 1.0), 9)
        if value > self.largest:
            raise ValueError(f"{text} is more than the largest, {self.format(self.largest)}")
        return value

    def format(self, value: float) -> str:
        """Write `value` as a person would: with the largest suffix that leaves it whole."""
        for suffix, factor in reversed(self.factors):
            count = value / factor
            if value and isclose(count, round(count), rel_tol=1e-14):
                return f"{round(count)}{suffix}"
        if not value:
            return f"0{self.plain}"
        suffix, factor = self.factors[0]
        return f"{value / factor:g}{suffix}"

    def _guess(self, number: str, suffix: str) -> str:
        likely = [unit for unit, _ in self.factors if suffix[:1].lower() == unit[0].lower()]
        guess = likely[0] if suffix and likely else "" if suffix else self.plain
        return f" (did you mean {number}{guess}?)" if guess else ""


DURATION = Unit(
    "duration",
    "5s, 250ms or 1h",
    (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)),
    LONGEST,
)
SIZE = Unit(
    "size",
    "64KiB",
    (("B", 1.0), ("KiB", 2.0**10), ("MiB", 2.0**20), ("GiB", 2.0**30)),
    2.0**40,
)
PERCENTAGE = Unit("percentage", "20%", (("%", 0.01),), 1.0)

EXPECTED_SPAN = "a share such as 25% or a duration such as 10s"


def parse_span(text: str) -> Span:
    """Read `25%` or `10s`; raises ValueError saying what was expected."""
    if text.endswith("%"):
        return Span(PERCENTAGE.parse(text), share=True)
    try:
        return Span(DURATION.parse(text))
    except ValueError as error:
        raise ValueError(str(error).replace(DURATION.expected, EXPECTED_SPAN)) from None


def format_span(span: Span) -> str:
    """Write a span as it is read."""
    return (PERCENTAGE if span.share else DURATION).format(span.amount)


Seconds = Annotated[float, DURATION]
Bytes = Annotated[int, SIZE]
Fraction = Annotated[float, PERCENTAGE]
