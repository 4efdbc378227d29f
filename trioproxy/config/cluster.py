"""Where requests and connections go: named groups of upstream endpoints."""

from typing import Annotated, ClassVar, Literal

import attrs

from trioproxy.config.balancing import MAGLEV, RING_HASH, Maglev, RingHash, SlowStart, Subsets
from trioproxy.config.discovery import Discovery
from trioproxy.config.endpoint import Endpoint, check_localities
from trioproxy.config.health_check import HOST, ActiveHealthCheck
from trioproxy.config.http2 import UPSTREAM, Http2Options
from trioproxy.config.marks import Count, Declares, Invalid, Name, Range, Unique
from trioproxy.config.outlier_detection import OutlierDetection
from trioproxy.config.tls import UpstreamTls
from trioproxy.config.units import Fraction, Seconds

Policy = Literal["round_robin", "least_request", "random", "ring_hash", "maglev"]


@attrs.frozen
class RetryBudget:
    """Retries in flight as a share of requests in flight: all workers' of all generations."""

    budget_percent: Annotated[Fraction, "The share, those that wait for a connection included"] = (
        0.2
    )
    min_retry_concurrency: Annotated[
        int, Range(0), "Retries that are allowed however few requests there are"
    ] = 3


@attrs.frozen
class CircuitBreakers:
    """Limits per worker, beyond which a cluster is sent no more."""

    max_connections: Annotated[int, Range(0), "Connections to the cluster"] = 1024
    max_pending_requests: Annotated[int, Range(0), "Requests that wait for a connection"] = 1024
    max_requests: Annotated[int, Range(0), "Requests in flight"] = 1024
    max_retries: Annotated[int, Range(0), "Retries in flight, where no retry budget is set"] = 3
    retry_budget: Annotated[
        RetryBudget | None, "A limit for retries of all workers together; null: `max_retries`"
    ] = None


ALPN = {"http2": ("h2",), "auto": ("h2", "http/1.1")}


@attrs.frozen
class Cluster:
    """A named group of endpoints with one policy."""

    later: ClassVar[tuple[str, ...]] = ("drain",)

    name: Annotated[Name, Declares("cluster"), "What routes and filters call it"]
    endpoints: Annotated[tuple[Endpoint, ...], Unique(("address",)), "Its upstream addresses"] = ()
    discovery: Annotated[
        Discovery | None, "How its upstream addresses are found, where they are not written down"
    ] = None
    required: Annotated[
        bool, "Nothing is taken over, or served, before it is known which of its hosts are healthy"
    ] = True
    min_healthy: Annotated[
        Fraction, "Such a share of them, and one at the least, has to be healthy by then"
    ] = 0.0
    connect_timeout: Annotated[Seconds, "Until a connection stands"] = 5.0
    protocol: Annotated[
        Literal["http1", "http2", "auto"],
        "What is spoken to the endpoints; `http2`: from the first byte on; `auto`: what each agrees"
        " on by TLS",
    ] = "http1"
    http2_options: Annotated[Http2Options, "For endpoints that speak HTTP/2"] = UPSTREAM
    lb_policy: Annotated[
        Policy,
        "How an endpoint is picked; with the last two a route's `hash_policy` decides",
    ] = "round_robin"
    health_checks: Annotated[
        tuple[ActiveHealthCheck, ...],
        "How hosts are checked, at most one way; a host gets requests once it has passed",
    ] = ()
    outlier_detection: Annotated[
        OutlierDetection | None, "Which hosts are ejected for how they answer; null: none"
    ] = None
    ring_hash: Annotated[RingHash, "For `lb_policy: ring_hash`"] = RING_HASH
    maglev: Annotated[Maglev, "For `lb_policy: maglev`"] = MAGLEV
    overprovisioning_factor: Annotated[
        float, "How many times its share of healthy hosts a priority, or a locality, can carry"
    ] = 1.4
    healthy_panic_threshold: Annotated[
        Fraction, "With fewer hosts in health, and too few in all, all are sent requests; 0%: never"
    ] = 0.5
    fail_traffic_on_panic: Annotated[bool, "Then send none of them any: answer 503"] = False
    slow_start: Annotated[SlowStart | None, "How new hosts are broken in; null: not at all"] = None
    lb_subset: Annotated[Subsets | None, "Subsets by metadata; null: one of all hosts"] = None
    circuit_breakers: Annotated[CircuitBreakers, "Its limits, per worker"] = CircuitBreakers()
    idle_timeout: Annotated[Seconds, "An unused pooled connection is closed; 0: never"] = 3600.0
    max_requests_per_connection: Annotated[
        Count | None, "A connection is replaced after so many requests"
    ] = None
    max_connection_duration: Annotated[
        Seconds | None, "A pooled connection that is older takes no new request"
    ] = None
    tls: Annotated[UpstreamTls | None, "TLS to the endpoints; null: none"] = None
    proxy_protocol: Annotated[
        Literal["v1", "v2"] | None,
        "Say first whose connection it is; an HTTP connection is then used for one request alone",
    ] = None

    def __attrs_post_init__(self) -> None:
        if self.endpoints and self.discovery:
            raise Invalid("expected endpoints or discovery, not both", "discovery")
        if not self.endpoints and not self.discovery:
            raise Invalid("expected endpoints or discovery", "endpoints")
        check_localities(self.endpoints, "endpoints")
        checks = self.health_checks
        if len(checks) > 1:
            raise Invalid("a cluster has one health check at most", "health_checks")
        if not HOST.accepts(self.name) and any(each.http and not each.http.host for each in checks):
            raise Invalid("the health check needs a host: the cluster's name is none", "name")
        if not 1 <= self.overprovisioning_factor <= 100:
            raise Invalid("expected a number from 1 to 100", "overprovisioning_factor")
        if self.tls is not None and self.tls.needs_name:
            self._check_names()
        if self.protocol != "http1":
            self._check_http2()

    def _check_http2(self) -> None:
        if self.proxy_protocol is not None:
            raise Invalid("HTTP/2 connections are nobody's in particular", "proxy_protocol")
        if self.protocol == "auto" and self.tls is None:
            raise Invalid("auto needs tls, by which it is agreed on", "protocol")
        if self.tls is None:
            return
        if not self.tls.alpn:
            offered = ALPN[self.protocol]
            object.__setattr__(self, "tls", attrs.evolve(self.tls, alpn=offered))
        elif "h2" not in self.tls.alpn:
            raise Invalid("HTTP/2 needs h2 in alpn", "tls")

    def _check_names(self) -> None:
        if any(endpoint.address.path for endpoint in self.endpoints):
            raise Invalid("a Unix socket has no name to verify: sni is needed", "tls")
