from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest
from backends import Backend, backends, keys, near, numbered

from trioproxy.upstream.hash_tables import Maglev, Ring, Table, stable_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Make = Callable[[Sequence[Backend], Sequence[float]], Table[Backend]]

RING: Make = partial(Ring, points_per_host=256, maximum=1 << 18)
MAGLEV: Make = partial(Maglev, size=65537)
BOTH = pytest.mark.parametrize("make", [RING, MAGLEV], ids=["ring", "maglev"])
KEYS = keys(10_000)


def filled(make: Make, hosts: Sequence[Backend]) -> Table[Backend]:
    table = make(hosts, [host.member.weight for host in hosts])
    for _ in table.fill():
        pass
    return table


def owners(make: Make, hosts: Sequence[Backend]) -> list[str]:
    table = filled(make, hosts)
    return [table.at(key, 0).name for key in KEYS]


def test_a_hash_is_the_same_for_ever() -> None:
    assert stable_hash(b"trioproxy") == 0x170BA0CF9D10B6


@BOTH
def test_owners_are_the_same_for_ever(make: Make) -> None:
    """A later release must not move every key."""
    known = {RING: "abcaacabcb", MAGLEV: "baacbcacca"}
    assert "".join(owners(make, backends(1, 1, 1))[:10]) == known[make]


@BOTH
@pytest.mark.parametrize("count", [2, 10, 50])
@pytest.mark.parametrize("leaving", [0, 1, -1])
def test_who_leaves_moves_few_keys_but_its_own(make: Make, count: int, leaving: int) -> None:
    hosts = numbered(count)
    before = owners(make, hosts)
    gone = hosts.pop(leaving)
    after = owners(make, hosts)
    moved = sum(one != other for one, other in zip(before, after, strict=True))
    assert before.count(gone.name) <= moved <= len(KEYS) * (1 / count + 0.02)


def test_who_leaves_a_ring_moves_no_key_but_its_own() -> None:
    hosts = numbered(10)
    before, after = owners(RING, hosts), owners(RING, hosts[1:])
    assert all(
        one == other for one, other in zip(before, after, strict=True) if one != hosts[0].name
    )


@pytest.mark.parametrize(
    ("make", "unevenness"), [(RING, 256**-0.5), (MAGLEV, 0.001)], ids=["ring", "maglev"]
)
def test_shares_follow_the_weights(make: Make, unevenness: float) -> None:
    weights = {"a": 1, "b": 2, "c": 5}
    counts = Counter(owners(make, backends(*weights.values())))
    for name, weight in weights.items():
        share = len(KEYS) * weight / 8
        slack = 4 * unevenness * share
        assert any(near(counts[name], share + off, len(KEYS)) for off in (-slack, 0, slack))


@pytest.mark.parametrize("weights", [(1, 10, 10), (10, 1, 1), (5, 10, 10)])
def test_with_maglev_few_keys_move_whatever_the_weights(weights: tuple[int, ...]) -> None:
    hosts = backends(*weights)
    before, after = owners(MAGLEV, hosts), owners(MAGLEV, hosts[1:])
    moved = sum(one not in {other, hosts[0].name} for one, other in zip(before, after, strict=True))
    assert moved < 0.01 * len(KEYS)


def test_on_a_ring_keys_stay_while_one_of_the_lightest_does() -> None:
    hosts = backends(1, 10, 10, 1)
    before, after = owners(RING, hosts), owners(RING, hosts[1:])
    assert all(
        one == other for one, other in zip(before, after, strict=True) if one != hosts[0].name
    )


def test_maglev_is_even_to_within_a_slot_a_turn() -> None:
    hosts = numbered(7)
    table = filled(MAGLEV, hosts)
    slots = Counter(table.at(slot, 0).name for slot in range(65537))
    assert set(slots.values()) == {65537 // 7, 65537 // 7 + 1}


def test_a_ring_too_large_has_half_the_points() -> None:
    ring = partial(Ring, points_per_host=1000, maximum=1000)
    small = partial(Ring, points_per_host=250, maximum=1000)
    assert owners(ring, numbered(4)) == owners(small, numbered(4))


@BOTH
def test_later_turns_come_to_every_host(make: Make) -> None:
    table = filled(make, numbered(5))
    for key in KEYS[:20]:
        assert len({table.at(key, turn).name for turn in range(64)}) == 5


@BOTH
def test_filling_is_done_in_many_steps(make: Make) -> None:
    hosts = numbered(500)
    assert sum(1 for _ in make(hosts, [1] * len(hosts)).fill()) > 20
