from __future__ import annotations

from math import inf

import pytest

from trioproxy.drain.span import Span


@pytest.mark.parametrize(
    ("span", "whole", "seconds"),
    [
        (Span(10.0), 600.0, 10.0),
        (Span(0.25, share=True), 600.0, 150.0),
        (Span(0.25, share=True), inf, inf),
        (Span(0.0, share=True), inf, 0.0),
    ],
)
def test_a_span_of_a_whole(span: Span, whole: float, seconds: float) -> None:
    assert span.of(whole) == seconds


def test_only_spans_of_a_kind_are_compared() -> None:
    assert Span(2.0).exceeds(Span(1.0))
    assert not Span(1.0).exceeds(Span(1.0))
    assert not Span(2.0).exceeds(Span(1.0, share=True))
