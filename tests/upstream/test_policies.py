from __future__ import annotations

from collections import Counter
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import pytest
from backends import Backend, backends, near
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.upstream.policies import POLICIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def named(
    policy: str, hosts: Sequence[Backend], weights: Sequence[float] = (), seed: int = 1
) -> Iterator[str]:
    weights = weights or [host.member.weight for host in hosts]
    turn = POLICIES[policy](hosts, weights, Random(seed))
    while True:
        yield turn().name


def text(names: Iterator[str], count: int) -> str:
    return "".join(islice(names, count))


def test_round_robin_takes_each_in_turn() -> None:
    names = text(named("round_robin", backends(1, 1, 1)), 9)
    assert names in {"abc" * 3, "bca" * 3, "cab" * 3}


def test_workers_begin_at_different_hosts() -> None:
    for weights in [(1, 1, 1), (2, 1, 1)]:
        firsts = {next(named("round_robin", backends(*weights), seed=seed)) for seed in range(50)}
        assert firsts == {"a", "b", "c"}


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.integers(0, 1000))
def test_round_robin_is_never_more_than_a_round_off_its_weights(
    weights: list[int], seed: int
) -> None:
    total = sum(weights)
    counts = Counter(text(named("round_robin", backends(*weights), seed=seed), 5 * total))
    for name, weight in zip("abcdefgh", weights, strict=False):
        assert abs(counts[name] - 5 * weight) <= 1


def test_round_robin_spreads_a_heavy_host_over_the_round() -> None:
    names = text(named("round_robin", backends(2, 1, 1)), 400)
    assert "aaa" not in names
    assert "bb" not in names


def test_weights_may_be_fractions() -> None:
    counts = Counter(text(named("round_robin", backends(1, 1), weights=[0.75, 0.25]), 4000))
    assert abs(counts["a"] - 3000) <= 1


@pytest.mark.parametrize("policy", ["random", "least_request"])
def test_chance_follows_the_weights(policy: str) -> None:
    counts = Counter(text(named(policy, backends(1, 2, 5)), 10_000))
    for name, share in {"a": 1250, "b": 2500, "c": 6250}.items():
        assert near(counts[name], share, 10_000)


@pytest.mark.parametrize("policy", ["random", "least_request"])
def test_chance_is_even_between_equals(policy: str) -> None:
    counts = Counter(text(named(policy, backends(1, 1, 1, 1)), 10_000))
    assert all(near(counts[name], 2500, 10_000) for name in "abcd")


def test_least_request_of_two_hosts_is_always_the_less_busy_one() -> None:
    hosts = backends(1, 1)
    hosts[0].active = 1
    assert set(text(named("least_request", hosts), 100)) == {"b"}


def test_least_request_measures_busy_by_weight() -> None:
    hosts = backends(4, 1)
    hosts[0].active, hosts[1].active = 3, 1
    assert set(text(named("least_request", hosts), 100)) == {"a"}
    hosts[0].active = 5
    assert set(text(named("least_request", hosts), 100)) == {"b"}


def test_least_request_keeps_hosts_level_where_chance_would_not() -> None:
    hosts = backends(1, 1, 1, 1)
    turn = POLICIES["least_request"](hosts, [1, 1, 1, 1], Random(1))
    for _ in range(4000):
        turn().active += 1
    actives = [host.active for host in hosts]
    assert max(actives) - min(actives) <= 4  # random: some 60
