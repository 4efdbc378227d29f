"""How connections leave when a drain asks them to: for a filter, a listener, or the server."""

from itertools import pairwise
from typing import Annotated

import attrs

from trioproxy.config.marks import Count, Invalid
from trioproxy.config.units import Seconds
from trioproxy.drain.policy import Policy
from trioproxy.drain.span import Span

RUNGS = ("notice", "idle", "stream", "life")


@attrs.frozen
class Rungs:
    """How connections leave; what is not said is as on the next larger scale."""

    notice: Annotated[
        Span | None, "Connections are told to leave, spread from the start to here; a share of time"
    ] = None
    idle: Annotated[
        Span | None, "Then idle ones are closed, spread from there to here; a share of time"
    ] = None
    stream: Annotated[
        Span | None, "What is in flight is cut; a share of parent_shutdown_time or shutdown.time"
    ] = None
    life: Annotated[Span | None, "What is left is closed; a share of that, too"] = None
    quiet: Annotated[
        Seconds | None,
        "tcp_proxy and upgraded: once told to leave, closed when no byte came for so long",
    ] = None
    hand_over: Annotated[
        bool | None, "Connections that can move go to the next generation instead of ending"
    ] = None
    max_per_second: Annotated[
        Count | None,
        "In each listener, so many are told, closed or moved at the most, while there is time",
    ] = None

    def __attrs_post_init__(self) -> None:
        given = [(name, span) for name in RUNGS if (span := getattr(self, name)) is not None]
        for (earlier, first), (later, second) in pairwise(given):
            if first.exceeds(second):
                raise Invalid(f"{earlier} comes after {later}", later)

    def over(self, policy: Policy) -> Policy:
        """Return `policy` with what is said here instead."""
        return attrs.evolve(
            policy,
            **{
                field.name: value
                for field in attrs.fields(Policy)
                if (value := getattr(self, field.name)) is not None
            },
        )


AS_ABOVE = Rungs()
