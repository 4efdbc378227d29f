from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.config.loader import Loaded

    Load = Callable[[str], Loaded]
    Mistakes = Callable[[str], list[str]]


def endpoints(*texts: str) -> str:
    return f"clusters: [{{name: a, endpoints: [{', '.join(texts)}]}}]"


def test_what_is_known_of_an_endpoint(loaded: Load) -> None:
    text = (
        "{address: 127.0.0.1:1, hostname: app-1, weight: 3, priority: 1, health_status: draining,"
        " locality: {region: eu, zone: a, weight: 5}, metadata: {stage: canary, shard: 7}}"
    )
    (endpoint,) = loaded(endpoints(text)).config.clusters[0].endpoints
    assert (endpoint.hostname, endpoint.weight, endpoint.priority) == ("app-1", 3, 1)
    assert (endpoint.locality.place, endpoint.locality.weight) == (("eu", "a", ""), 5)
    assert (endpoint.metadata, endpoint.health_status) == (
        {"stage": "canary", "shard": 7},
        "draining",
    )


@pytest.mark.parametrize(
    ("texts", "mistake"),
    [
        (["127.0.0.1:0"], "port 0 cannot be connected to"),
        (["{address: 127.0.0.1:1, metadata: {a: [1]}}"], "expected a scalar under 'a'"),
        (["{address: 127.0.0.1:1, priority: 128}"], "expected a whole number from 0 to 127"),
        (["127.0.0.1:1", "127.0.0.1:1"], "duplicate address '127.0.0.1:1'"),
        (
            [
                "{address: 127.0.0.1:1, locality: {zone: a, weight: 1}}",
                "{address: 127.0.0.1:2, locality: {zone: a, weight: 2}}",
            ],
            "a has two weights in priority 0",
        ),
    ],
)
def test_mistakes(mistakes: Mistakes, texts: list[str], mistake: str) -> None:
    (found,) = mistakes(endpoints(*texts))
    assert mistake in found


def test_a_locality_may_weigh_differently_in_each_priority(loaded: Load) -> None:
    texts = (
        f"{{address: 127.0.0.1:{n}, priority: {n}, locality: {{zone: a, weight: {n}}}}}"
        for n in (1, 2)
    )
    assert loaded(endpoints(*texts))
