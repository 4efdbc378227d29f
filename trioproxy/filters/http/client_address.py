"""Whose request it is: the connection's address, or one that a trusted proxy has noted."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated

from trioproxy.config.marks import Range
from trioproxy.filters.exchange import Exchange

FORWARDED_FOR = b"x-forwarded-for"

TrustedHops = Annotated[
    int | None,
    Range(0, 100),
    "Take the address of x-forwarded-for that stands before so many others, counted from its end,"
    " where the connection manager notes the connection's; null: the connection's own",
]


def client_address(exchange: Exchange, trusted_hops: int | None) -> str:
    """Return the client's address as text, which need not be one; empty for a Unix socket.

    With `trusted_hops` it is the address that stands before so many others at the end of
    `x-forwarded-for`, where the connection manager has noted the connection's own; it is that of
    the connection where there are too few.
    """
    own = exchange.connection.remote_ip
    if trusted_hops is None:
        return own
    values = [value for name, value in exchange.request.headers.fields if name == FORWARDED_FOR]
    hops = b",".join(values).decode("latin-1").split(",")
    return hops[-1 - trusted_hops].strip() if len(hops) > trusted_hops else own


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address, IPv4 also where it is written as IPv6; None for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
