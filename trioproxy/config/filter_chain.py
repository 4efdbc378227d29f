"""Filter chains of a listener, and which connections each of them is for."""

from typing import Annotated, Literal

import attrs

from trioproxy.config.marks import Length, Matching, Name, OneOf, Port
from trioproxy.config.networks import Cidr, networks
from trioproxy.config.tls import DownstreamTls, Protocol

NetworkFilters = Annotated[tuple[Annotated[object, OneOf("network")], ...], Length(1)]
ServerName = Annotated[
    str, Matching(r"(\*\.)?[^*\s./]+(\.[^*\s./]+)*", 'a host name, or "*.example.org"')
]


@attrs.frozen
class FilterChainMatch:
    """What a connection must be like; all of it holds, and what is not said does not matter."""

    destination_port: Annotated[Port | None, "The port that it came to"] = None
    server_names: Annotated[
        tuple[ServerName, ...],
        "It asks by TLS for one of these, or ends as a wildcard does, however many labels before",
    ] = ()
    transport_protocol: Annotated[
        Literal["tls", "raw_buffer"] | None, "It begins with TLS, or it does not"
    ] = None
    application_protocols: Annotated[
        tuple[Protocol, ...], "It speaks, as its TLS says, one of these"
    ] = ()
    source_prefix_ranges: Annotated[tuple[Cidr, ...], "It comes from one of these networks"] = ()

    def __attrs_post_init__(self) -> None:
        networks("source_prefix_ranges", self.source_prefix_ranges)

    @property
    def inspects(self) -> bool:
        """Whether a connection's first bytes have to be looked at."""
        return bool(self.server_names or self.transport_protocol or self.application_protocols)


ANYTHING = FilterChainMatch()


@attrs.frozen
class FilterChain:
    """The network filters that a connection passes through, in order."""

    filters: Annotated[NetworkFilters, "Network filters in order; the last one ends the chain"]
    tls: Annotated[DownstreamTls | None, "What clients have to speak TLS with; null: none"] = None
    match: Annotated[
        FilterChainMatch,
        "Which connections it is for: of those that match, the one whose first of"
        " `destination_port`, `server_names`, `transport_protocol`, `application_protocols`,"
        " `source_prefix_ranges` is the most specific",
    ] = ANYTHING
    name: Annotated[Name | None, "Its name in the log"] = None
