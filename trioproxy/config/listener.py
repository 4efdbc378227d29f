"""Where connections come in, and the filters that serve them."""

from typing import Annotated

import attrs

from trioproxy.config.address import Address
from trioproxy.config.drain import AS_ABOVE, Rungs
from trioproxy.config.filter_chain import ANYTHING, FilterChain, NetworkFilters
from trioproxy.config.marks import Count, Invalid, Length, Mode, Name, OneOf, Range
from trioproxy.config.tls import DownstreamTls
from trioproxy.config.units import Seconds
from trioproxy.drain.policy import Policy


@attrs.frozen
class Listener:
    """One address that is listened on."""

    name: Annotated[Name, "Its name in logs, statistics and the admin interface"]
    address: Annotated[Address, "Where it listens; port 0 takes any free one"]
    filters: Annotated[
        NetworkFilters | None, "Short for one filter chain that matches everything"
    ] = None
    filter_chains: Annotated[tuple[FilterChain, ...] | None, Length(1), "Its filter chains"] = None
    tls: Annotated[DownstreamTls | None, "With `filters`: what clients have to speak TLS with"] = (
        None
    )
    listener_filters: Annotated[
        tuple[Annotated[object, OneOf("listener")], ...],
        "What a connection passes before a chain is chosen for it",
    ] = ()
    listener_filters_timeout: Annotated[
        Seconds, Range(1, 3600), "Who has not said by then what a chain is chosen by is let go"
    ] = 15.0
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
        if len({chain.match for chain in self.chains}) < len(self.chains):
            raise Invalid("two chains have the same match", "filter_chains")
        names = [chain.name for chain in self.chains if chain.name]
        if len(set(names)) < len(names):
            raise Invalid("two chains have the same name", "filter_chains")

    def policy(self, server: Rungs, chain: FilterChain | None = None) -> Policy:
        """How connections leave: as their last filter says, else the listener, else the server.

        Those of the first chain, if none is named.
        """
        rungs = getattr((chain or self.chains[0]).filters[-1], "drain", AS_ABOVE)
        policy: Policy = rungs.over(self.drain.over(server.over(Policy())))
        return policy

    @property
    def open(self) -> bool:
        """Whether nothing stands between a connection and its only chain."""
        only = self.chains[0]
        chosen = len(self.chains) > 1 or only.match != ANYTHING
        return not (chosen or only.tls or self.listener_filters)

    @property
    def chains(self) -> tuple[FilterChain, ...]:
        """Its filter chains, however they were written."""
        return self.filter_chains or (FilterChain(self.filters or (), self.tls),)
