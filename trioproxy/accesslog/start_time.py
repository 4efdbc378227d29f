"""`%START_TIME(...)%`: Unix time as text, by strftime in UTC, cheap within one second."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ISO_8601 = "%Y-%m-%dT%H:%M:%S.%3fZ"
HALF_MICROSECOND = 5e-7
"""Added before digits are cut: a double near today's Unix time is no finer, and 0.123 is 123 ms."""

# strftime's own escapes are matched too, so that the `%f` in `%%f` stays text.
_SUBSECOND = re.compile(r"%(?:([1-9]?)f|s|.)", re.DOTALL)
_DIRECTIVES = frozenset("aAbBcCdDeFgGhHIjklmMnpPrRStTuUVwWxXyYzZ%")


def compile_start_time(text: str = ISO_8601) -> Callable[[float], str]:
    """Return a function from Unix time in seconds to text.

    `text` is strftime's, and further `%f` (nanoseconds), `%1f`...`%9f` (that many digits of the
    second's fraction) and `%s` (whole seconds since 1970). Raises ValueError for another directive.
    """
    pieces, digits = _split(text)
    scales = [10**count for count in digits]
    second = -1
    template = ""

    def render(moment: float) -> str:
        nonlocal second, template
        moment += HALF_MICROSECOND
        now = int(moment)
        if now != second:
            second, template = now, _template(pieces, digits, now)
        fraction = moment - now
        return template % tuple([int(fraction * scale) for scale in scales])

    return render


def _template(pieces: list[str], digits: list[int], second: int) -> str:
    """Return the second's text with `%03d` and the like where fractions go."""
    texts = [_strftime(piece, second).replace("%", "%%") for piece in pieces]
    fractions = [f"%0{count}d" for count in digits]
    return texts[0] + "".join(map("".join, zip(fractions, texts[1:], strict=True)))


def _split(text: str) -> tuple[list[str], list[int]]:
    """Return the strftime pieces between fractions, and each fraction's digits."""
    pieces, digits, start = [], [], 0
    for match in _SUBSECOND.finditer(text):
        directive = match[0]
        if directive.endswith("f"):
            end = match.start()
            pieces.append(text[start:end])
            digits.append(int(match[1] or 9))
            start = match.end()
        elif directive != "%s" and directive[1] not in _DIRECTIVES:
            raise ValueError(f"unknown directive {directive} in START_TIME({text})")
    if text.replace("%%", "").endswith("%"):
        raise ValueError(f"START_TIME({text}) ends in the middle of a directive")
    pieces.append(text[start:])
    return pieces, digits


def _strftime(piece: str, second: int) -> str:
    # libc's `%s` reads a broken-down time as local; Unix time needs no zone.
    parts = [part.replace("%s", str(second)) for part in piece.split("%%")]
    return time.strftime("%%".join(parts), time.gmtime(second))
