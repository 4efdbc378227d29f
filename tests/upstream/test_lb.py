"""Distribution over 10,000 picks, what illness changes of it, and how little a change moves."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, get_args

import pytest
from backends import DEGRADED, ILL, backends, keys, near, numbered, zone

from trioproxy.config.balancing import SlowStart
from trioproxy.config.cluster import Policy
from trioproxy.upstream.lb import Wish
from trioproxy.upstream.member import FAILED_ACTIVE_HC, PENDING_ACTIVE_HC

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends import Scene

PICKS = 10_000
POLICIES = get_args(Policy)
EVERY = pytest.mark.parametrize("policy", POLICIES)
HASHING = pytest.mark.parametrize("policy", ["ring_hash", "maglev"])
RING_SLACK = 1.25  # 256 points a host: some 6 % standard deviation


def level(count: int, share: float, policy: str) -> bool:
    """Tell whether a share of all picks came out as it should."""
    expected = PICKS * share
    if policy == "ring_hash":
        return expected / RING_SLACK < count < expected * RING_SLACK
    return near(count, expected, PICKS)


@EVERY
def test_equal_hosts_have_equal_shares(scene: Callable[..., Scene], policy: str) -> None:
    counts = scene(policy, backends(1, 1, 1, 1)).counts(PICKS)
    assert all(level(counts[name], 1 / 4, policy) for name in "abcd"), counts


@EVERY
def test_shares_follow_the_weights(scene: Callable[..., Scene], policy: str) -> None:
    counts = scene(policy, backends(1, 2, 5)).counts(PICKS)
    assert all(
        level(counts[name], weight / 8, policy)
        for name, weight in zip("abc", (1, 2, 5), strict=True)
    ), counts


@EVERY
def test_an_ill_host_gets_nothing_and_its_share_is_spread(
    scene: Callable[..., Scene], policy: str
) -> None:
    hosts = backends(1, 1, 1, 1)
    hosts[1].fare(*ILL)
    counts = scene(policy, hosts).counts(PICKS)
    assert counts.keys() == {"a", "c", "d"}
    assert all(level(counts[name], 1 / 3, policy) for name in "acd"), counts


@EVERY
def test_a_host_that_recovers_is_not_flooded(scene: Callable[..., Scene], policy: str) -> None:
    hosts = backends(1, 1, 1)
    hosts[0].fare(*ILL)
    app = scene(policy, hosts)
    assert app.counts(1000).keys() == {"b", "c"}
    hosts[0].fare()
    app.update(hosts)
    app.finish()
    assert level(app.counts(PICKS)["a"], 1 / 3, policy)


@EVERY
def test_a_retry_goes_to_another_host_while_there_is_one(
    scene: Callable[..., Scene], policy: str
) -> None:
    hosts = backends(1, 3, 1)
    hosts[2].fare(*ILL)
    lb = scene(policy, hosts).lb
    for key in keys(50):
        first = lb.pick((), Wish(key))
        assert first is not None
        second = lb.pick([first], Wish(key))
        assert {first, second} == {hosts[0], hosts[1]}
        assert lb.pick(hosts[:2], Wish(key)) in hosts[:2]


@EVERY
def test_a_retry_goes_to_another_priority_for_want_of_hosts(
    scene: Callable[..., Scene], policy: str
) -> None:
    first, later = backends(1, 1), backends(1, 1, 1, priority=1)[2:]
    first[1].fare(*ILL)
    lb = scene(policy, [*first, *later]).lb
    assert {lb.pick(first[:1], Wish(key)) for key in keys(50)} == set(later)


@EVERY
def test_the_load_goes_by_priorities(scene: Callable[..., Scene], policy: str) -> None:
    hosts = backends(1, 1) + backends(1, 1, 1, 1, priority=3)[2:]
    app = scene(policy, hosts)
    assert app.counts(1000).keys() == {"a", "b"}
    hosts[0].fare(*ILL)
    app.update(hosts)
    app.finish()
    counts = app.counts(PICKS)
    assert near(counts["b"], PICKS * 0.7, PICKS)
    assert near(counts["c"] + counts["d"], PICKS * 0.3, PICKS)


@EVERY
def test_degraded_hosts_come_last(scene: Callable[..., Scene], policy: str) -> None:
    hosts = backends(1, 1, 1, 1)
    hosts[3].fare(*DEGRADED)
    app = scene(policy, hosts)
    assert "d" not in app.counts(1000)
    hosts[1].fare(*ILL)
    hosts[2].fare(*ILL)
    app.update(hosts)
    app.finish()
    counts = app.counts(PICKS)  # 25 % of the hosts carry 35 % each
    assert near(counts["a"], PICKS / 2, PICKS)
    assert near(counts["d"], PICKS / 2, PICKS)


@EVERY
def test_localities_share_by_their_weights(scene: Callable[..., Scene], policy: str) -> None:
    hosts = backends(1, 1, 1, locality=zone("east", 1))
    hosts += backends(1, 1, 1, 1, locality=zone("west", 3))[3:]
    counts = scene(policy, hosts).counts(PICKS)
    assert level(counts["d"], 3 / 4, policy), counts


@EVERY
def test_a_panic_sends_requests_to_all(scene: Callable[..., Scene], policy: str) -> None:
    hosts = backends(1, 1, 1)
    for host in hosts[:2]:
        host.fare(*ILL)
    app = scene(policy, hosts)
    assert app.counts(100).keys() == {"a", "b", "c"}
    assert app.statistic("lb_healthy_panic") == 100
    assert scene(policy, hosts, healthy_panic_threshold=0.0).counts(100).keys() == {"c"}


@EVERY
def test_a_priority_that_may_not_panic_gives_its_share_to_nobody(
    scene: Callable[..., Scene], policy: str
) -> None:
    hosts = [*backends(*[1] * 10), *numbered(10, priority=1)]
    for host in [*hosts[:8], *hosts[15:]]:
        host.fare(*ILL)
    app = scene(policy, hosts, fail_traffic_on_panic=True)
    picked = [app.lb.pick((), Wish(key)) for key in keys(PICKS)]
    names = {host.name for host in picked if host is not None}
    refused = picked.count(None)
    assert near(refused, PICKS * 28 / (28 + 70), PICKS)
    assert app.statistic("lb_healthy_panic") == refused
    assert names == {host.name for host in hosts[10:15]}


@EVERY
def test_a_retry_in_a_panic_goes_to_a_healthy_host(
    scene: Callable[..., Scene], policy: str
) -> None:
    hosts = backends(1, 1, 1, 1, 1)
    for host in hosts[:3]:
        host.fare(*ILL)
    lb = scene(policy, hosts).lb
    assert {lb.pick(hosts[:1], Wish(key)) for key in keys(50)} == {hosts[3], hosts[4]}
    assert lb.pick([hosts[0], hosts[3]]) is hosts[4]
    assert lb.pick([hosts[0], hosts[3], hosts[4]]) in hosts[1:3]


@EVERY
def test_no_host_to_offer(scene: Callable[..., Scene], policy: str) -> None:
    assert scene(policy).lb.pick() is None
    hosts = backends(1, 2)
    for host in hosts:
        host.fare(*ILL)
    assert scene(policy, hosts).lb.pick() in hosts, "a panic"
    assert scene(policy, hosts, healthy_panic_threshold=0.0).lb.pick() is None
    assert scene(policy, hosts, fail_traffic_on_panic=True).lb.pick() is None


@EVERY
def test_a_host_that_was_not_checked_yet_gets_nothing_even_in_a_panic(
    scene: Callable[..., Scene], policy: str
) -> None:
    hosts = backends(1, 1)
    hosts[0].fare(FAILED_ACTIVE_HC, PENDING_ACTIVE_HC)
    hosts[1].fare(FAILED_ACTIVE_HC)
    app = scene(policy, hosts)
    assert app.counts(20).keys() == {"b"}
    app.update(hosts[:1])
    assert app.lb.pick() is None


@EVERY
def test_a_host_that_was_healthy_in_the_last_generation_is_used_before_it_is_checked(
    scene: Callable[..., Scene], policy: str
) -> None:
    hosts = backends(1)
    hosts[0].fare(PENDING_ACTIVE_HC)
    assert scene(policy, hosts).counts(3).keys() == {"a"}


@EVERY
def test_a_single_host_is_always_it(scene: Callable[..., Scene], policy: str) -> None:
    assert set(scene(policy, backends(3)).names(20)) == {"a"}


@pytest.mark.parametrize("policy", ["round_robin", "least_request", "random"])
def test_slow_start(scene: Callable[..., Scene], policy: str) -> None:
    hosts = backends(1, 1)
    app = scene(policy, hosts[:1], slow_start=SlowStart(window=60.0))
    app.update(hosts, 100.0)
    assert near(app.counts(PICKS)["b"], PICKS * 0.1 / 1.1, PICKS)
    while app.lb.when <= 130.0:
        app.lb.work(app.lb.when)
    counts = app.counts(PICKS)
    assert near(counts["b"], PICKS / 3, PICKS)
    app.finish()
    assert near(app.counts(PICKS)["b"], PICKS / 2, PICKS)


@HASHING
@pytest.mark.parametrize("count", [3, 10])
def test_a_host_that_leaves_moves_few_keys(
    scene: Callable[..., Scene], policy: str, count: int
) -> None:
    hosts, wanted = numbered(count), keys(PICKS)
    app = scene(policy, hosts)
    before = app.owners(wanted)
    app.update(hosts[1:])
    # Until the new table is there, the old one does without the host.
    assert hosts[0].name not in app.owners(wanted)
    app.finish()
    moved = sum(one != other for one, other in zip(before, app.owners(wanted), strict=True))
    assert moved <= PICKS * (1 / count + 0.02)


@HASHING
def test_keys_have_the_same_hosts_after_a_restart(scene: Callable[..., Scene], policy: str) -> None:
    hosts, wanted = numbered(5), keys(1000)
    owners = scene(policy, hosts, seed=1).owners(wanted)
    assert scene(policy, list(reversed(hosts)), seed=2).owners(wanted) == owners


@HASHING
def test_tables_are_made_anew_a_little_at_a_time(scene: Callable[..., Scene], policy: str) -> None:
    hosts = numbered(300)
    app = scene(policy, hosts)
    app.update(hosts)
    assert app.finish() == 0, "nothing changed"
    app.update(hosts[1:])
    assert app.finish() > 5


@HASHING
def test_one_host_needs_no_table(scene: Callable[..., Scene], policy: str) -> None:
    hosts, wanted = numbered(300), keys(20)
    app = scene(policy, [])
    app.update(hosts[:1])
    assert app.finish() == 0
    assert set(app.owners(wanted)) == {hosts[0].name}
    app.update(hosts)
    app.update(hosts[:1])
    assert set(app.owners(wanted)) == {hosts[0].name}
    app.finish()
    assert set(app.owners(wanted)) == {hosts[0].name}
    app.update(hosts)
    app.finish()
    assert app.owners(wanted) == scene(policy, hosts).owners(wanted)


@HASHING
def test_who_left_is_not_kept_in_tables(scene: Callable[..., Scene], policy: str) -> None:
    hosts = numbered(3, priority=1)
    app = scene(policy, hosts)
    left = weakref.ref(hosts.pop())
    app.update(numbered(3))
    app.finish()
    hosts.clear()
    assert left() is None


@HASHING
def test_tables_come_while_hosts_come_and_go(scene: Callable[..., Scene], policy: str) -> None:
    """The keys of whoever stays find it again, though no table lives to see its hosts stay."""
    hosts, wanted = numbered(300), keys(1000)
    owners = scene(policy, hosts).owners(wanted)
    app = scene(policy, hosts[:2])
    for turn in range(100):
        app.update(hosts[turn % 2 :])
        app.lb.work(0.0)
    kept = sum(one == other for one, other in zip(owners, app.owners(wanted), strict=True))
    assert kept > 900
    app.update(hosts)
    app.finish()
    assert app.owners(wanted) == owners


@HASHING
def test_a_priority_that_steps_in_stalls_nobody(scene: Callable[..., Scene], policy: str) -> None:
    first, later = backends(1), numbered(200, priority=1)
    app = scene(policy, [*first, *later])
    first[0].fare(*ILL)
    app.update([*first, *later])
    meanwhile = app.owners(keys(20))
    assert app.owners(keys(20)) == meanwhile, "keys have their hosts at once"
    assert app.finish() > 5
    assert "a" not in {*meanwhile, *app.owners(keys(20))}


@HASHING
def test_with_almost_all_of_a_table_gone_a_pick_comes_to_an_end(
    scene: Callable[..., Scene], policy: str
) -> None:
    hosts = numbered(300)
    app = scene(policy, hosts)
    app.update(hosts[:1])
    assert set(app.names(100)) == {hosts[0].name}


def test_a_request_without_a_key_goes_anywhere(scene: Callable[..., Scene]) -> None:
    assert scene("maglev", backends(1, 1, 1)).counts(100).keys() == {"a", "b", "c"}
