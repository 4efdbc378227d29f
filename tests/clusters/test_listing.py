from __future__ import annotations

import json
from pathlib import Path

import pytest

from trioproxy.clusters.finding import DiscoveryFailed
from trioproxy.clusters.listing import read_listing
from trioproxy.upstream.member import FAILED_EDS_HEALTH, Member, Place

HERE = Path("/run")
YAML = """
endpoints:
- 127.0.0.1:1
- address: 127.0.0.1:2
  weight: 3
  priority: 1
  locality: {zone: a}
  metadata: {stage: canary}
  health_status: draining
- unix:app.sock
"""
LISTED = (
    Member("127.0.0.1:1"),
    Member(
        "127.0.0.1:2",
        3,
        priority=1,
        locality=Place(zone="a"),
        metadata={"stage": "canary"},
        flags=(FAILED_EDS_HEALTH,),
    ),
    Member("unix:/run/app.sock"),
)
ENDPOINTS = [
    "127.0.0.1:1",
    {
        "address": "127.0.0.1:2",
        "weight": 3,
        "priority": 1,
        "locality": {"zone": "a"},
        "metadata": {"stage": "canary"},
        "health_status": "draining",
    },
    "unix:app.sock",
]


@pytest.mark.parametrize(
    "text", [YAML, json.dumps({"endpoints": ENDPOINTS}), json.dumps(ENDPOINTS)]
)
def test_yaml_and_json_say_the_same(text: str) -> None:
    assert read_listing(text, "app", HERE) == LISTED


@pytest.mark.parametrize("text", ["endpoints: []", "[]"])
def test_there_may_be_none(text: str) -> None:
    assert read_listing(text, "app", HERE) == ()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "app:1:1: missing 'endpoints': The hosts"),
        ("endpoints: [127.0.0.1:1, 127.0.0.1]", "app:1:26: expected an address such as"),
        ('{"endpoints": ["127.0.0.1:1"], "endpoints": []}', "app:1:32: duplicate key 'endpoints'"),
        ('{"endpoints": ["127.0.0.1:1",\n{"weight": 0}]}', "app:2:1: missing 'address'"),
        ("endpoints: [127.0.0.1:1", "app:2:1: did not find expected ',' or ']'"),
        ("endpoints: [127.0.0.1:1, 127.0.0.1:1]", "app:1:26: duplicate address"),
        ("endpoints: []\nhosts: []", "app:2:1: unknown key 'hosts'"),
        ("[" * 100_000, "app"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, mistake: str) -> None:
    with pytest.raises(DiscoveryFailed) as failure:
        read_listing(text, "app", HERE)
    assert str(failure.value).startswith(mistake)


def test_of_many_mistakes_the_first_are_told() -> None:
    with pytest.raises(DiscoveryFailed, match=r"app:1:35.*; and 6 more mistakes$"):
        read_listing(f"endpoints: [{', '.join(['127.0.0.1'] * 9)}]", "app", HERE)
