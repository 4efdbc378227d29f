"""Where the hosts of a cluster are found, if they are not written down."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import attrs

from trioproxy.config.address import Address
from trioproxy.config.marks import Invalid, Matching
from trioproxy.config.units import Seconds

LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
NUMBERS = re.compile(r"[0-9.]+")  # an IPv4 address, whole or in part, and no name that there is
LABELS = rf"{LABEL}(?:\.{LABEL})*\.?"
DnsName = Annotated[str, Matching(LABELS, "a DNS name such as _http._tcp.app.internal")]
DnsAddress = Annotated[
    str, Matching(rf"{LABELS}:\d{{1,5}}", "a DNS name with a port such as app.internal:8080")
]
Url = Annotated[
    str,
    Matching(
        r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:[/?][!-~]*)?",
        "a URL of http or https, all of it ASCII, such as http://discovery.internal:8080/app",
    ),
]
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?")
FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})

LookupFamily = Annotated[
    Literal["v4_preferred", "v4_only", "v6_only", "auto", "all"],
    "Which addresses: `v4_preferred` is IPv6 only for want of IPv4, `auto` the other way round",
]
Resolvers = Annotated[
    tuple[Address, ...],
    "DNS servers to ask, by address and port; none: /etc/hosts, then those of /etc/resolv.conf",
]
Refresh = Annotated[
    Seconds | None, "Between two questions; null: as long as the answer says that it holds"
]
Patience = Annotated[Seconds, "For an answer, all servers and repetitions included"]


@attrs.frozen
class StrictDns:
    """Every address that a DNS name has is a host."""

    address: Annotated[DnsAddress | None, "The name, and the port of every host"] = None
    srv: Annotated[
        DnsName | None,
        "Instead of `address`: a name whose SRV records say which names and ports, with weights"
        " and priorities",
    ] = None
    lookup_family: LookupFamily = "v4_preferred"
    refresh: Refresh = None
    timeout: Patience = 5.0
    resolvers: Resolvers = ()

    def __attrs_post_init__(self) -> None:
        if (self.address is None) == (self.srv is None):
            raise Invalid("expected either address or srv", "srv")
        check_port(self.address)
        check_interval(self.refresh)
        check_resolvers(self.resolvers)


@attrs.frozen
class LogicalDns:
    """One host, at whatever address a DNS name has when a connection is made."""

    address: Annotated[DnsAddress, "The name, and the port"]
    lookup_family: LookupFamily = "v4_preferred"
    refresh: Refresh = None
    timeout: Patience = 5.0
    resolvers: Resolvers = ()

    def __attrs_post_init__(self) -> None:
        check_port(self.address)
        check_interval(self.refresh)
        check_resolvers(self.resolvers)


@attrs.frozen
class WatchedFile:
    """The hosts are listed in a YAML or JSON file, which may change."""

    path: Annotated[Path, "The file: a map whose `endpoints` are written like a cluster's"]
    refresh: Annotated[Seconds, "Between two looks whether it changed"] = 0.25

    def __attrs_post_init__(self) -> None:
        check_interval(self.refresh)


@attrs.frozen
class PolledUrl:
    """The hosts are listed in an answer over HTTP, which is asked for again and again."""

    url: Annotated[Url, "Answers 200 with what a file would have in it"]
    refresh: Annotated[Seconds, "Between two questions"] = 5.0
    timeout: Annotated[Seconds, "For an answer"] = 5.0
    headers: Annotated[Mapping[str, str], "Sent with each question"] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        check_interval(self.refresh)
        check_url(self.url)
        for name, value in self.headers.items():
            if not HEADER.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
                raise Invalid(f"{name!r} cannot be sent", "headers")
            if name.lower() in FRAMING:
                raise Invalid(f"{name} frames the question and cannot be set", "headers")


@attrs.frozen
class Discovery:
    """How hosts are found: one of these."""

    strict_dns: Annotated[StrictDns | None, "By DNS; every address is a host"] = None
    logical_dns: Annotated[LogicalDns | None, "By DNS; there is one host"] = None
    file: Annotated[WatchedFile | None, "From a file"] = None
    http: Annotated[PolledUrl | None, "Over HTTP"] = None

    def __attrs_post_init__(self) -> None:
        if sum(each is not None for each in attrs.astuple(self, recurse=False)) != 1:
            raise Invalid("expected one of strict_dns, logical_dns, file or http")


def check_port(address: str | None) -> None:
    """Raise Invalid where a name is no name, or is given a port that there is not."""
    if address is None:
        return
    name, _, port = address.rpartition(":")
    if NUMBERS.fullmatch(name):
        raise Invalid(f"{name} is no name to ask for: list addresses as `endpoints`", "address")
    if not 0 < int(port) <= 65535:
        raise Invalid("expected a port from 1 to 65535", "address")


def check_url(url: str) -> None:
    """Raise Invalid where nobody can be asked at that URL."""
    try:
        port = urlsplit(url).port
    except ValueError:
        port = 0
    if port == 0:
        raise Invalid("expected a host, and a port from 1 to 65535", "url")


def check_interval(refresh: float | None) -> None:
    """Raise Invalid where there would be no pause at all."""
    if refresh == 0:
        raise Invalid("expected a pause, however short", "refresh")


def check_resolvers(resolvers: tuple[Address, ...]) -> None:
    """Raise Invalid where a server is not one that DNS can be spoken with."""
    for each in resolvers:
        if each.path or each.free:
            raise Invalid("expected addresses with ports, such as 127.0.0.1:53", "resolvers")
