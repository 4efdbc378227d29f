"""`http_connection_manager`: HTTP on a connection, through HTTP filters, to routes."""

from typing import Annotated, Literal

import attrs

from trioproxy.config.access_log import AccessLog
from trioproxy.config.client_certificate import THE_HASH, ClientCertificateDetails, Forwarding
from trioproxy.config.drain import AS_ABOVE, Rungs
from trioproxy.config.headers import UNCHANGED, HeaderOperations
from trioproxy.config.http2 import DOWNSTREAM, Http2Options
from trioproxy.config.marks import Count, Invalid, Length, Name, OneOf, Range, Unique
from trioproxy.config.route import Route, VirtualHost
from trioproxy.config.units import Bytes, Seconds
from trioproxy.filters.http.router import Router
from trioproxy.filters.http_managing import HttpManaging
from trioproxy.filters.tools import Tools


@attrs.frozen
class HttpConnectionManager:
    """Serve HTTP: read requests, run each through the HTTP filters, answer in order."""

    stat_prefix: Annotated[Name, "Its statistics are `http.<stat_prefix>.`"]
    virtual_hosts: Annotated[
        tuple[VirtualHost, ...] | None, Length(1), Unique(("name", "domains")), "By domain"
    ] = None
    routes: Annotated[
        tuple[Route, ...] | None, Length(1), "Short for one virtual host for every domain"
    ] = None
    http_filters: Annotated[
        tuple[Annotated[object, OneOf("http")], ...],
        Length(1),
        "In order; the last one answers: `router`",
    ] = (Router(),)
    codec_type: Annotated[
        Literal["auto", "http1", "http2"],
        "What clients may speak; `auto`: HTTP/2 where they begin with its preface",
    ] = "auto"
    http2_options: Annotated[Http2Options, "For clients that speak HTTP/2"] = DOWNSTREAM
    idle_timeout: Annotated[Seconds, "Between two requests; 0: never"] = 3600.0
    request_headers_timeout: Annotated[Seconds, "For a request head to come in; 0: none"] = 10.0
    stream_idle_timeout: Annotated[
        Seconds, "Nothing moves in an exchange for so long; 0: never"
    ] = 300.0
    upgrade_idle_timeout: Annotated[
        Seconds, "Nothing moves in an upgraded connection for so long; 0: never"
    ] = 3600.0
    websocket_close_code: Annotated[
        Literal[1001, 1012], "What a WebSocket that ends with its drain is told: RFC 6455 7.4.1"
    ] = 1012
    max_connection_duration: Annotated[
        Seconds | None, "A connection is closed when it is so old"
    ] = None
    max_request_headers: Annotated[Bytes, Range(1024, 8 << 20), "The largest request head"] = 61440
    max_headers_count: Annotated[Count, "The most fields in a head"] = 100
    max_requests_per_connection: Annotated[
        Count | None, "After so many requests a connection is closed"
    ] = None
    upgrades: Annotated[
        tuple[Literal["websocket", "connect"], ...],
        "Protocols that a client may switch to; `connect`: CONNECT tunnels to the route's cluster",
    ] = ()
    use_remote_address: Annotated[
        bool,
        "Append the client's address to x-forwarded-for and set x-forwarded-proto;"
        " false behind another proxy that does",
    ] = True
    forward_client_cert_details: Annotated[
        Forwarding,
        "x-forwarded-client-cert is taken out; or, where the client has shown a certificate, left"
        " as it is, appended to, or set anew; or it is left whoever the client is",
    ] = "sanitize"
    set_current_client_cert_details: Annotated[
        ClientCertificateDetails, "What is said of the client's certificate"
    ] = THE_HASH
    generate_request_id: Annotated[bool, "Add x-request-id where there is none"] = True
    via: Annotated[Name | None, "Append this name to `via`, both ways; null: do not"] = None
    access_log: Annotated[AccessLog | None, "A line for each exchange; null: none"] = None
    drain: Annotated[Rungs, "How its connections leave"] = AS_ABOVE
    request_headers: Annotated[HeaderOperations, "Changes to every request's headers"] = UNCHANGED
    response_headers: Annotated[HeaderOperations, "Changes to every response's headers"] = UNCHANGED

    def __attrs_post_init__(self) -> None:
        if (self.virtual_hosts is None) == (self.routes is None):
            raise Invalid("expected one of virtual_hosts and routes")

    @property
    def hosts(self) -> tuple[VirtualHost, ...]:
        """Its virtual hosts, however they were written."""
        return self.virtual_hosts or (VirtualHost("all", ("*",), self.routes or ()),)

    def prepare(self, tools: Tools) -> HttpManaging:
        """Return the filter."""
        return HttpManaging(self, tools)
