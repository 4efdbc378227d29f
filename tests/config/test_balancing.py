from __future__ import annotations

import pytest

from trioproxy.config.address import Address
from trioproxy.config.balancing import Maglev, SlowStart, Subsets, SubsetSelector
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.marks import Invalid

HOST = Endpoint(Address.parse("127.0.0.1:80"))
SELECTORS = (SubsetSelector(("stage",)),)


@pytest.mark.parametrize("size", [4, 9, 65535, 65536])
def test_a_maglev_table_of_no_prime_size_is_refused(size: int) -> None:
    with pytest.raises(Invalid, match=f"{size} is not a prime"):
        Maglev(size)


def test_prime_sizes() -> None:
    assert [Maglev(size).table_size for size in (2, 3, 251, 65537)] == [2, 3, 251, 65537]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"window": 0.0}, "window"),
        ({"window": 1.0, "aggression": 0.0}, "aggression"),
        ({"window": 1.0, "aggression": float("nan")}, "aggression"),
        ({"window": 1.0, "min_weight": 0.0}, "min_weight"),
    ],
)
def test_a_slow_start_that_makes_no_sense_is_refused(values: dict[str, float], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        SlowStart(**values)
    assert refused.value.field == field


def test_a_default_subset_belongs_to_its_policy() -> None:
    for config in ({"fallback_policy": "default_subset"}, {"default_subset": {"stage": "prod"}}):
        with pytest.raises(Invalid, match="belong together"):
            Subsets(SELECTORS, **config)  # type: ignore[arg-type]
    assert Subsets(SELECTORS, "default_subset", {"stage": "prod"}).default_subset


@pytest.mark.parametrize("factor", [0.9, 101.0, float("nan")])
def test_an_overprovisioning_factor_that_makes_no_sense_is_refused(factor: float) -> None:
    with pytest.raises(Invalid, match="from 1 to 100"):
        Cluster("app", (HOST,), overprovisioning_factor=factor)
