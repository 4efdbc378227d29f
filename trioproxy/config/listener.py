"""Where connections come in, and the filters that serve them."""

from typing import Annotated, ClassVar

import attrs

from trioproxy.config.address import Address
from trioproxy.config.drain import AS_ABOVE, Rungs
from trioproxy.config.marks import Count, Invalid, Length, Mode, Name, OneOf
from trioproxy.config.tls import DownstreamTls
from trioproxy.drain.policy import Policy

NetworkFilters = Annotated[tuple[Annotated[object, OneOf("network")], ...], Length(1)]


@attrs.frozen
class FilterChain:
    """The network filters that a connection passes through, in order."""

    later: ClassVar[tuple[str, ...]] = ("match", "name")

    filters: Annotated[NetworkFilters, "Network filters in order; the last one ends the chain"]
    tls: Annotated[DownstreamTls | None, "What clients have to speak TLS with; null: none"] = None


@attrs.frozen
class Listener:
    """One address that is listened on."""

    later: ClassVar[tuple[str, ...]] = ("listener_filters",)

    name: Annotated[Name, "Its name in logs, statistics and the admin interface"]
    address: Annotated[Address, "Where it listens; port 0 takes any free one"]
    filters: Annotated[
        NetworkFilters | None, "Short for one filter chain that matches everything"
    ] = None
    filter_chains: Annotated[tuple[FilterChain, ...] | None, Length(1), "Its filter chains"] = None
    tls: Annotated[DownstreamTls | None, "With `filters`: what clients have to speak TLS with"] = (
        None
    )
    backlog: Annotated[Count, "Connections that wait in the kernel to be accepted"] = 4096
    mode: Annotated[Mode, "The permissions of a Unix socket, octal"] = "660"
    max_connections: Annotated[
        Count | None, "Open connections per worker, beyond which no more are accepted"
    ] = None
    drain: Annotated[Rungs, "How its connections leave"] = AS_ABOVE

    def __attrs_post_init__(self) -> None:
        if self.filters is not None and self.filter_chains is not None:
            raise Invalid("filters and filter_chains exclude each other", "filters")
        if self.filters is None and self.filter_chains is None:
            raise Invalid("expected filters or filter_chains")
        if self.tls is not None and self.filter_chains is not None:
            raise Invalid("each of the filter_chains has its own tls", "tls")
        if len(self.chains) > 1:
            raise Invalid(
                "several chains are not supported yet: none could be chosen", "filter_chains"
            )

    def policy(self, server: Rungs) -> Policy:
        """How its connections leave: as its last filter says, else itself, else the server."""
        rungs = getattr(self.chains[0].filters[-1], "drain", AS_ABOVE)
        policy: Policy = rungs.over(self.drain.over(server.over(Policy())))
        return policy

    @property
    def chains(self) -> tuple[FilterChain, ...]:
        """Its filter chains, however they were written."""
        return self.filter_chains or (FilterChain(self.filters or (), self.tls),)
