"""Where requests and connections go: named groups of upstream endpoints."""

from typing import Annotated, ClassVar, Literal

import attrs

from trioproxy.config.address import Address
from trioproxy.config.http2 import UPSTREAM, Http2Options
from trioproxy.config.marks import Count, Declares, Invalid, Later, Length, Name, Range, Unique
from trioproxy.config.units import Seconds


@attrs.frozen
class Endpoint:
    """One upstream address."""

    short: ClassVar[str] = "address"

    address: Annotated[Address, "Where to connect"]
    weight: Annotated[int, Range(1, 1_000_000), "Its share of the load beside the others'"] = 1

    def __attrs_post_init__(self) -> None:
        if self.address.free:
            raise Invalid("port 0 cannot be connected to", "address")


@attrs.frozen
class CircuitBreakers:
    """Limits per worker, beyond which a cluster is sent no more."""

    max_connections: Annotated[int, Range(0), "Connections to the cluster"] = 1024
    max_pending_requests: Annotated[int, Range(0), "Requests that wait for a connection"] = 1024
    max_requests: Annotated[int, Range(0), "Requests in flight"] = 1024
    max_retries: Annotated[int, Range(0), "Retries in flight, where no retry budget is set"] = 3


@attrs.frozen
class Cluster:
    """A named group of endpoints with one policy."""

    later: ClassVar[tuple[str, ...]] = (
        "discovery",
        "health_checks",
        "outlier_detection",
        "tls",
        "drain",
    )

    name: Annotated[Name, Declares("cluster"), "What routes and filters call it"]
    endpoints: Annotated[
        tuple[Endpoint, ...], Length(1), Unique(("address",)), "Its upstream addresses"
    ]
    connect_timeout: Annotated[Seconds, "Until a connection stands"] = 5.0
    protocol: Annotated[
        Literal["http1", "http2"],
        "What is spoken to the endpoints; `http2`: from the first byte on",
    ] = "http1"
    http2_options: Annotated[Http2Options, "For `protocol: http2`"] = UPSTREAM
    lb_policy: Annotated[
        Literal["round_robin", "least_request", "random"],
        Later(("ring_hash", "maglev")),
        "How an endpoint is picked",
    ] = "round_robin"
    circuit_breakers: Annotated[CircuitBreakers, "Its limits, per worker"] = CircuitBreakers()
    idle_timeout: Annotated[Seconds, "An unused pooled connection is closed; 0: never"] = 3600.0
    max_requests_per_connection: Annotated[
        Count | None, "A connection is replaced after so many requests"
    ] = None
    max_connection_duration: Annotated[
        Seconds | None, "A pooled connection that is older takes no new request"
    ] = None
