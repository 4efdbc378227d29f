from __future__ import annotations

from math import inf

import pytest
from backends import backends, zone

from trioproxy.config.balancing import SlowStart as Config
from trioproxy.upstream.weights import SlowStart, weigh


def test_without_localities_a_host_weighs_what_it_is_told_to() -> None:
    hosts = backends(1, 2, 5)
    assert weigh(hosts[1:], hosts, 1.4) == [2, 5]


def test_a_locality_shares_its_weight_among_its_hosts() -> None:
    east, west = backends(1, 3, locality=zone("east", 2)), backends(1, locality=zone("west", 1))
    assert weigh([*east, *west], [*east, *west], 1.4) == [0.5, 1.5, 1.0]


def test_a_locality_without_a_weight_has_that_of_its_hosts() -> None:
    east, west = backends(1, 3, locality=zone("east")), backends(1, locality=zone("west", 2))
    assert weigh([*east, *west], [*east, *west], 1.4) == [1, 3, 2]


@pytest.mark.parametrize(("left", "share"), [(8, 1.0), (5, 0.7), (1, 0.14)])
def test_a_locality_takes_less_where_too_few_are_left(left: int, share: float) -> None:
    east = backends(*[1] * 10, locality=zone("east", 1))
    west = backends(*[1] * 10, locality=zone("west", 1))
    weights = weigh([*east[:left], *west], [*east, *west], 1.4)
    assert sum(weights[:left]) == pytest.approx(share)
    assert sum(weights[left:]) == pytest.approx(1.0)


def test_hosts_that_begin_together_are_equally_cold() -> None:
    slow = SlowStart(Config(window=60.0))
    hosts = backends(1, 1)
    slow.note(hosts, 0.0)
    assert [slow.warmth(host, 30.0) for host in hosts] == [0.5, 0.5]
    assert slow.next_change(60.0) == inf


def test_a_new_host_warms_up_over_the_window() -> None:
    slow = SlowStart(Config(window=60.0))
    old, new = backends(1, 1)
    slow.note([old], 0.0)
    slow.note([old, new], 100.0)
    times = (100.0, 103.0, 130.0, 145.0, 160.0)
    assert [slow.warmth(new, now) for now in times] == [0.1, 0.1, 0.5, 0.75, 1.0]
    assert slow.warmth(old, 100.0) == 1.0
    assert slow.next_change(130.0) == 133.0
    assert slow.next_change(160.0) == inf


def test_aggression_makes_it_faster() -> None:
    slow = SlowStart(Config(window=100.0, aggression=2.0, min_weight=0.01))
    [new] = backends(1)
    slow.note([new], 0.0)
    assert slow.warmth(new, 25.0) == 0.5


def test_a_host_that_recovers_starts_slowly_too() -> None:
    slow = SlowStart(Config(window=60.0))
    one, other = backends(1, 1)
    slow.note([one, other], 0.0)
    slow.note([one], 10.0)
    slow.note([one, other], 20.0)
    assert slow.warmth(other, 50.0) == 0.5
    slow.note([one, other], 40.0)  # what else changes does not set it back
    assert slow.warmth(other, 50.0) == 0.5
