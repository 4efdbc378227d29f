"""Networks of IP addresses, as the configuration writes them."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from trioproxy.config.marks import Invalid, Matching

Cidr = Annotated[
    str, Matching(r"[0-9a-fA-F.:]+(/\d{1,3})?", 'a network such as 10.0.0.0/8 or "fd00::/8"')
]
Network = IPv4Network | IPv6Network


def networks(field: str, texts: tuple[str, ...]) -> list[Network]:
    """Return the networks; raises Invalid for a text that is none."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text))
        except ValueError as error:
            raise Invalid(f"not a network: {error}{_without_host_bits(text)}", field) from None
    return found


def _without_host_bits(text: str) -> str:
    try:
        return f" (did you mean {ip_network(text, strict=False)}?)"
    except ValueError:
        return ""
