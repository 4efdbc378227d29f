"""`ip_filter`: lets requests in by the address that they come from."""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

import attrs

from trioproxy.config.marks import Invalid
from trioproxy.config.networks import Cidr, networks
from trioproxy.filters.chain import Forward
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.http.client_address import TrustedHops, client_address, parse_address
from trioproxy.filters.http.tools import HttpTools
from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter

REMEMBERED = 4096
"""Addresses whose verdict is remembered; clients make some of them up, so there is a bound."""


class IpFilterStats(Family):
    """`http.<stat_prefix>.ip_filter.`"""

    allowed: Counter
    denied: Counter


@attrs.frozen
class IpFilter:
    """Answer 403 to addresses that are denied, or not allowed where `allow` names any."""

    allow: Annotated[tuple[Cidr, ...], "Networks that are let in; empty: all"] = ()
    deny: Annotated[tuple[Cidr, ...], "Networks that are not, even if allowed"] = ()
    xff_num_trusted_hops: TrustedHops = None

    def __attrs_post_init__(self) -> None:
        if not self.allow and not self.deny:
            raise Invalid("expected allow or deny")
        networks("allow", self.allow)
        networks("deny", self.deny)

    def prepare(self, tools: HttpTools) -> "IpFiltering":
        """Return the filter."""
        stats = IpFilterStats(tools.worker.stats, f"{tools.scope}.ip_filter")
        return IpFiltering(self, stats)


class IpFiltering:
    """An `ip_filter` in service."""

    def __init__(self, config: IpFilter, stats: IpFilterStats) -> None:
        self._admits = lru_cache(REMEMBERED)(verdict(config))
        self._trusted_hops = config.xff_num_trusted_hops
        self._stats = stats

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        """Forward, or answer 403."""
        if self._admits(client_address(exchange, self._trusted_hops)):
            self._stats.allowed.add()
            await forward(exchange)
            return
        self._stats.denied.add()
        exchange.record.details = "ip_filter_denied"
        await exchange.respond(403, "access denied\n")


def verdict(config: IpFilter) -> Callable[[str], bool]:
    """Return what says whether an address is let in; a text that is none is in no network."""
    allow, deny = networks("allow", config.allow), networks("deny", config.deny)

    def admits(text: str) -> bool:
        address = parse_address(text)
        if address is None:
            return not allow
        if any(address in network for network in deny):
            return False
        return not allow or any(address in network for network in allow)

    return admits
