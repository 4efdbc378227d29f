"""How a cluster's hosts are chosen between, beside its policy."""

from collections.abc import Mapping
from math import isqrt
from typing import Annotated, Literal

import attrs

from trioproxy.config.endpoint import check_scalars
from trioproxy.config.marks import Invalid, Length, Name, Range
from trioproxy.config.units import Fraction, Seconds


@attrs.frozen
class RingHash:
    """For `lb_policy: ring_hash`: each host's points on the ring."""

    points_per_host: Annotated[
        int,
        Range(1, 65536),
        "Points of the lightest host; the more, the more even the shares (256: to some 6 %)",
    ] = 256
    maximum_ring_size: Annotated[
        int, Range(1, 1 << 20), "Points in all, beyond which every host has half as many"
    ] = 1 << 18


RING_HASH = RingHash()


@attrs.frozen
class Maglev:
    """For `lb_policy: maglev`: its table."""

    table_size: Annotated[
        int, Range(2, 5_000_011), "Slots: a prime, a hundred times the number of hosts or more"
    ] = 65537

    def __attrs_post_init__(self) -> None:
        if any(self.table_size % factor == 0 for factor in range(2, isqrt(self.table_size) + 1)):
            raise Invalid(f"{self.table_size} is not a prime", "table_size")


MAGLEV = Maglev()


@attrs.frozen
class SlowStart:
    """A host that comes or recovers gets its weight little by little; not where keys are hashed."""

    window: Annotated[Seconds, "How long it takes"]
    aggression: Annotated[
        float, "At share `t` of the window it has `t ** (1 / aggression)` of its weight; 1: evenly"
    ] = 1.0
    min_weight: Annotated[Fraction, "What it has of its weight at least"] = 0.1

    def __attrs_post_init__(self) -> None:
        if not 0 < self.aggression <= 1000:
            raise Invalid("expected a number of more than 0 and at most 1000", "aggression")
        if not self.window:
            raise Invalid("expected more than 0s", "window")
        if not self.min_weight:
            raise Invalid("expected more than 0%", "min_weight")


@attrs.frozen
class SubsetSelector:
    """Hosts that agree in the metadata under all of these keys are a subset."""

    keys: Annotated[tuple[Name, ...], Length(1), "Keys of the endpoints' `metadata`"]


@attrs.frozen
class Subsets:
    """Subsets of the hosts by their metadata, which routes choose by `metadata_match`."""

    subset_selectors: Annotated[
        tuple[SubsetSelector, ...], Length(1), "A route names the keys of one, all of them"
    ]
    fallback_policy: Annotated[
        Literal["no_fallback", "any_endpoint", "default_subset"],
        "Who takes requests of no subset: nobody, which is a 503; any host; or `default_subset`",
    ] = "no_fallback"
    default_subset: Annotated[Mapping[str, object], "What the metadata of its hosts has"] = (
        attrs.Factory(dict)
    )

    def __attrs_post_init__(self) -> None:
        check_scalars(self.default_subset, "default_subset")
        if bool(self.default_subset) != (self.fallback_policy == "default_subset"):
            raise Invalid(
                "default_subset and fallback_policy: default_subset belong together",
                "fallback_policy",
            )
