"""One upstream address, and what is known of it beforehand."""

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

import attrs

from trioproxy.config.address import Address
from trioproxy.config.marks import Count, Invalid, Name, Range

Scalar = str | int | float | bool


@attrs.frozen
class Locality:
    """Where a host stands, from large to small; hosts that agree in all three are together."""

    region: Annotated[str, "The largest, such as `eu-west-1`"] = ""
    zone: Annotated[str, "Within the region"] = ""
    sub_zone: Annotated[str, "Within the zone"] = ""
    weight: Annotated[
        Count | None, "The locality's share beside the others' of its priority; null: by its hosts"
    ] = None

    @property
    def place(self) -> tuple[str, str, str]:
        """The three names."""
        return self.region, self.zone, self.sub_zone


@attrs.frozen
class Endpoint:
    """One upstream address."""

    short: ClassVar[str] = "address"

    address: Annotated[Address, "Where to connect"]
    weight: Annotated[int, Range(1, 1_000_000), "Its share of the load beside the others'"] = 1
    hostname: Annotated[Name | None, "What it is called beside its address"] = None
    priority: Annotated[
        int, Range(0, 127), "Hosts of a higher number serve only for want of those of a lower one"
    ] = 0
    locality: Annotated[Locality, "Where it stands"] = Locality()
    metadata: Annotated[
        Mapping[str, object], "Words on it, by which subsets are chosen: scalars alone"
    ] = attrs.Factory(dict)
    health_status: Annotated[
        Literal["healthy", "unhealthy", "draining", "degraded"],
        "Its health as whoever lists it knows it; it is sent nothing where unhealthy or draining",
    ] = "healthy"

    def __attrs_post_init__(self) -> None:
        if self.address.free:
            raise Invalid("port 0 cannot be connected to", "address")
        check_scalars(self.metadata, "metadata")


def check_scalars(metadata: Mapping[str, object], field: str) -> None:
    """Raise Invalid, to be shown at `field`, where a value is a list or a map."""
    for key, value in metadata.items():
        if not isinstance(value, Scalar):
            raise Invalid(f"expected a scalar under {key!r}", field)


def check_localities(endpoints: Iterable[Endpoint], field: str) -> None:
    """Raise Invalid, to be shown at `field`, where a locality is given two weights."""
    weights: dict[tuple[int, tuple[str, str, str]], int | None] = {}
    for each in endpoints:
        place, weight = each.locality.place, each.locality.weight
        if weights.setdefault((each.priority, place), weight) != weight:
            name = "/".join(filter(None, place)) or "the nameless locality"
            raise Invalid(f"{name} has two weights in priority {each.priority}", field)
