from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.config.reference import reference

if TYPE_CHECKING:
    from trioproxy.config.registry import Registry


def test_each_key_has_a_row_with_type_default_and_meaning(registry: Registry) -> None:
    page = reference(registry)
    for row in (
        "| `idle_timeout` | a duration such as 5s, 250ms or 1h | `1h` | An unused",
        "| `circuit_breakers` | [CircuitBreakers](#circuitbreakers) | its own |",
        "| `endpoints` | list: [Endpoint](#endpoint) | `[]` |",
        "| `set` | map to text | `{}` |",
        "| `lb_policy` | one of round_robin, least_request, random, ring_hash, maglev |",
    ):
        assert row in page


def test_each_class_has_one_section_and_each_filter_its_name(registry: Registry) -> None:
    headings = [line for line in reference(registry).splitlines() if line.startswith("## ")]
    assert len(headings) == len(set(headings))
    assert {"## The file", "## Retry", "## tcp (network filter)", "## answer (http filter)"} <= set(
        headings
    )
