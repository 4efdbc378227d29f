from __future__ import annotations

from typing import TYPE_CHECKING

from backends import Backend, backends, keys, numbered

from trioproxy.config.balancing import Subsets, SubsetSelector
from trioproxy.upstream.lb import Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends import Scene

SELECTORS = (SubsetSelector(("stage",)), SubsetSelector(("stage", "version")))


def fleet() -> list[Backend]:
    """a: prod 1; b: prod 2; c: canary 2; d: nothing is said of it."""
    metadata = [
        {"stage": "prod", "version": 1},
        {"stage": "prod", "version": 2},
        {"stage": "canary", "version": 2},
        {},
    ]
    return [backends(*[1] * i, 1, metadata=each)[i] for i, each in enumerate(metadata)]


def wanting(**criteria: object) -> Wish:
    return Wish(None, frozenset(criteria.items()))


def test_a_route_has_the_hosts_of_its_subset(scene: Callable[..., Scene]) -> None:
    subsets = scene("round_robin", fleet(), lb_subset=Subsets(SELECTORS))
    assert subsets.counts(10, wanting(stage="prod")) == {"a": 5, "b": 5}
    assert subsets.counts(10, wanting(stage="prod", version=2)) == {"b": 10}
    assert subsets.counts(10, wanting(stage="canary")) == {"c": 10}
    assert subsets.statistic("lb_subsets_selected") == 30
    assert subsets.statistic("lb_subsets_fallback") == 0


def test_without_a_fallback_there_is_nobody_else(scene: Callable[..., Scene]) -> None:
    lb = scene("round_robin", fleet(), lb_subset=Subsets(SELECTORS)).lb
    assert lb.pick() is None
    assert lb.pick((), wanting(stage="test")) is None
    assert lb.pick((), wanting(version=2)) is None, "no selector is of that key alone"


def test_a_subset_that_is_new_stalls_nobody(scene: Callable[..., Scene]) -> None:
    config = Subsets((SubsetSelector(("stage",)),))
    app = scene("maglev", [], lb_subset=config)
    app.update(numbered(200, metadata={"stage": "prod"}))
    assert app.finish() > 5
    assert len(app.counts(1000, Wish(None, frozenset({("stage", "prod")})))) > 100


def test_any_endpoint_takes_what_is_of_no_subset(scene: Callable[..., Scene]) -> None:
    subsets = scene(
        "round_robin", fleet(), lb_subset=Subsets(SELECTORS, fallback_policy="any_endpoint")
    )
    assert subsets.counts(8, wanting(stage="test")) == dict.fromkeys("abcd", 2)
    assert subsets.counts(8) == dict.fromkeys("abcd", 2)
    assert subsets.statistic("lb_subsets_fallback") == 16


def test_a_default_subset_takes_what_is_of_no_other(scene: Callable[..., Scene]) -> None:
    config = Subsets(SELECTORS, "default_subset", {"stage": "prod"})
    subsets = scene("round_robin", fleet(), lb_subset=config)
    assert subsets.counts(8) == {"a": 4, "b": 4}


def test_a_retry_stays_in_the_subset(scene: Callable[..., Scene]) -> None:
    hosts = fleet()
    lb = scene("round_robin", hosts, lb_subset=Subsets(SELECTORS)).lb
    for _ in range(10):
        assert lb.pick(hosts[:1], wanting(stage="prod")) is hosts[1]
        assert lb.pick(hosts[2:3], wanting(stage="canary")) is hosts[2]


def test_subsets_come_and_go_with_their_hosts(scene: Callable[..., Scene]) -> None:
    hosts = fleet()
    subsets = scene("round_robin", hosts, lb_subset=Subsets(SELECTORS))
    subsets.update(hosts[:2])
    assert subsets.lb.pick((), wanting(stage="canary")) is None
    subsets.update(hosts)
    assert subsets.counts(2, wanting(stage="canary")) == {"c": 2}


def test_keys_have_their_hosts_within_a_subset(scene: Callable[..., Scene]) -> None:
    subsets = scene("maglev", fleet(), lb_subset=Subsets(SELECTORS))
    prod = frozenset({("stage", "prod")})
    wishes = [Wish(key, prod) for key in keys(50)]
    first = [next(subsets.names(1, wish)) for wish in wishes]
    assert set(first) == {"a", "b"}
    assert [next(subsets.names(1, wish)) for wish in wishes] == first
