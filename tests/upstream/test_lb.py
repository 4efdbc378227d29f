from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.upstream.lb import POLICIES, Balancer

if TYPE_CHECKING:
    from collections.abc import Iterator


@attrs.define(eq=False)
class Backend:
    name: str
    weight: int = 1
    active: int = 0
    healthy: bool = True


def backends(*weights: int) -> list[Backend]:
    return [Backend(name, weight) for name, weight in zip("abcdefgh", weights, strict=False)]


def balancer(policy: str, hosts: list[Backend], seed: int = 1) -> Balancer[Backend]:
    return Balancer(policy, hosts, Random(seed))


def picks(lb: Balancer[Backend], count: int) -> Iterator[str]:
    for _ in range(count):
        host = lb.pick()
        assert host is not None
        yield host.name


def test_round_robin_takes_each_in_turn() -> None:
    names = "".join(picks(balancer("round_robin", backends(1, 1, 1)), 9))
    assert names in {"abc" * 3, "bca" * 3, "cab" * 3}


def test_workers_begin_at_different_hosts() -> None:
    for weights in [(1, 1, 1), (2, 1, 1)]:
        workers = [balancer("round_robin", backends(*weights), seed) for seed in range(50)]
        assert {next(picks(worker, 1)) for worker in workers} == {"a", "b", "c"}


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.integers(0, 1000))
def test_round_robin_is_never_more_than_a_round_off_its_weights(
    weights: list[int], seed: int
) -> None:
    total = sum(weights)
    lb = balancer("round_robin", backends(*weights), seed)
    counts = Counter(picks(lb, 5 * total))
    for name, weight in zip("abcdefgh", weights, strict=False):
        assert abs(counts[name] - 5 * weight) <= 1


def test_round_robin_spreads_a_heavy_host_over_the_round() -> None:
    names = "".join(picks(balancer("round_robin", backends(2, 1, 1)), 400))
    assert "aaa" not in names
    assert "bb" not in names


@pytest.mark.parametrize("policy", ["random", "least_request"])
def test_chance_follows_the_weights(policy: str) -> None:
    counts = Counter(picks(balancer(policy, backends(1, 2, 5)), 80_000))
    for name, share in {"a": 10_000, "b": 20_000, "c": 50_000}.items():
        assert abs(counts[name] - share) < 6 * share**0.5


@pytest.mark.parametrize("policy", ["random", "least_request"])
def test_chance_is_even_between_equals(policy: str) -> None:
    counts = Counter(picks(balancer(policy, backends(1, 1, 1, 1)), 40_000))
    assert all(abs(counts[name] - 10_000) < 600 for name in "abcd")


def test_least_request_of_two_hosts_is_always_the_less_busy_one() -> None:
    hosts = backends(1, 1)
    hosts[0].active = 1
    assert set(picks(balancer("least_request", hosts), 100)) == {"b"}


def test_least_request_measures_busy_by_weight() -> None:
    hosts = backends(4, 1)
    hosts[0].active, hosts[1].active = 3, 1
    assert set(picks(balancer("least_request", hosts), 100)) == {"a"}
    hosts[0].active = 5
    assert set(picks(balancer("least_request", hosts), 100)) == {"b"}


def test_least_request_keeps_hosts_level_where_chance_would_not() -> None:
    hosts = backends(1, 1, 1, 1)
    lb = balancer("least_request", hosts)
    for _ in range(4000):
        host = lb.pick()
        assert host is not None
        host.active += 1
    actives = [host.active for host in hosts]
    assert max(actives) - min(actives) <= 4  # random: some 60


@pytest.mark.parametrize("policy", POLICIES)
def test_an_ill_host_gets_nothing_and_its_share_is_spread(policy: str) -> None:
    hosts = backends(1, 1, 1, 1)
    hosts[1].healthy = False
    counts = Counter(picks(balancer(policy, hosts), 30_000))
    assert counts.keys() == {"a", "c", "d"}
    assert all(abs(count - 10_000) < 600 for count in counts.values())


def test_a_host_that_recovers_is_not_flooded() -> None:
    hosts = backends(5, 1)
    lb = balancer("round_robin", hosts)
    hosts[0].healthy = False
    assert set(picks(lb, 1000)) == {"b"}
    hosts[0].healthy = True
    assert 99 <= Counter(picks(lb, 120))["a"] <= 101


@pytest.mark.parametrize("policy", POLICIES)
def test_a_retry_goes_to_another_host_while_there_is_one(policy: str) -> None:
    hosts = backends(1, 3, 1)
    hosts[2].healthy = False
    lb = balancer(policy, hosts)
    for _ in range(50):
        first = lb.pick()
        assert first is not None
        second = lb.pick([first])
        assert {first, second} == {hosts[0], hosts[1]}
        assert lb.pick(hosts[:2]) in hosts[:2]


@pytest.mark.parametrize("policy", POLICIES)
def test_no_host_or_none_in_health(policy: str) -> None:
    assert balancer(policy, []).pick() is None
    hosts = backends(1, 2)
    for host in hosts:
        host.healthy = False
    assert balancer(policy, hosts).pick() is None


@pytest.mark.parametrize("policy", POLICIES)
def test_a_single_host_is_always_it(policy: str) -> None:
    assert set(picks(balancer(policy, backends(3)), 20)) == {"a"}


def test_an_unknown_policy_is_an_error() -> None:
    with pytest.raises(KeyError):
        balancer("fastest", backends(1))
