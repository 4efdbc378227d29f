"""Asks DNS, by dnspython: imported only where some cluster is found that way."""

from __future__ import annotations

import socket
from math import inf
from typing import TYPE_CHECKING

import attrs
import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdtypes.IN.SRV
import dns.resolver
import trio

from trioproxy.clusters import hosts_file
from trioproxy.clusters.finding import DiscoveryFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioproxy.config.address import Address

TYPE_OF = {socket.AF_INET: "A", socket.AF_INET6: "AAAA"}
FAMILIES: dict[str, tuple[tuple[socket.AddressFamily, ...], ...]] = {
    "v4_only": ((socket.AF_INET,),),
    "v6_only": ((socket.AF_INET6,),),
    "v4_preferred": ((socket.AF_INET,), (socket.AF_INET6,)),
    "auto": ((socket.AF_INET6,), (socket.AF_INET,)),
    "all": ((socket.AF_INET, socket.AF_INET6),),
}
"""Which addresses to ask for at once, and which only where there are none of these."""


@attrs.frozen
class Answer:
    """Addresses as texts, and for how many seconds they hold."""

    addresses: tuple[str, ...]
    holds: float = inf

    def __add__(self, other: Answer) -> Answer:
        return Answer(self.addresses + other.addresses, min(self.holds, other.holds))


@attrs.frozen
class Service:
    """What an SRV record says."""

    target: str
    port: int
    priority: int
    weight: int


class Resolver:
    """Asks `servers`, or those of /etc/resolv.conf, as it stands at that time.

    An answer that there is no such name, or no such record of it, is an answer: an empty one.
    """

    def __init__(self, servers: Sequence[Address], timeout: float) -> None:
        self._servers = [
            dns.nameserver.Do53Nameserver(each.host, each.port or 53) for each in servers
        ]
        self._timeout = timeout

    async def addresses(self, name: str, families: str, until: float = inf) -> Answer:
        """Return the addresses of a name; raises DiscoveryFailed where nobody can tell.

        `until`, on Trio's clock, bounds all questions that it takes; `timeout` each of them.
        """
        answer = Answer(())
        for group in FAMILIES[families]:
            for family in group:
                answer += await self._addresses(name, family, until)
            if answer.addresses:
                break
        return answer

    async def services(self, name: str, until: float = inf) -> tuple[list[Service], float]:
        """Return the SRV records of a name and for how many seconds they hold.

        Raises DiscoveryFailed.
        """
        answer = await self._ask(name, "SRV", until)
        records = [each for each in answer or () if isinstance(each, dns.rdtypes.IN.SRV.SRV)]
        services = [
            Service(each.target.to_text(), each.port, each.priority, each.weight)
            for each in records
        ]
        return services, _holds(answer)

    async def _addresses(self, name: str, family: socket.AddressFamily, until: float) -> Answer:
        if not self._servers and (known := _listed(name, family)):
            return Answer(known)
        answer = await self._ask(name, TYPE_OF[family], until)
        return Answer(tuple(each.to_text() for each in answer or ()), _holds(answer))

    async def _ask(self, name: str, kind: str, until: float) -> dns.resolver.Answer | None:
        try:
            return await self._resolver().resolve(
                name,
                kind,
                search=True,
                lifetime=min(self._timeout, max(until - trio.current_time(), 0.0)),
                raise_on_no_answer=False,
                backend=dns.asyncbackend.get_backend("trio"),
            )
        except dns.resolver.NXDOMAIN:
            return None
        except (dns.exception.DNSException, OSError) as error:
            raise DiscoveryFailed(f"DNS: {name} {kind}: {_reason(error)}") from error

    def _resolver(self) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = self._servers
        return resolver


def _listed(name: str, family: socket.AddressFamily) -> tuple[str, ...]:
    colon = family == socket.AF_INET6
    return tuple(each for each in hosts_file.listed(name) if (":" in each) == colon)


def _holds(answer: dns.resolver.Answer | None) -> float:
    return inf if answer is None else float(answer.chaining_result.minimum_ttl)


def _reason(error: Exception) -> str:
    if isinstance(error, dns.exception.Timeout):
        return "no answer in time"
    if isinstance(error, dns.resolver.NoNameservers):
        return "no server could answer"
    return str(error) or type(error).__name__
