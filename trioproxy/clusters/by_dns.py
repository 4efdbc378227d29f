"""Hosts by DNS: every address a host, or one host at the address of the day."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.clusters.finding import DiscoveryFailed, Found
from trioproxy.upstream.member import Member

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioproxy.clusters.resolver import Answer, Resolver, Service
    from trioproxy.config.discovery import LogicalDns, StrictDns


@attrs.frozen
class StrictFinder:
    """Finds a host at every address of a name."""

    config: StrictDns
    resolver: Resolver

    async def __call__(self) -> Found:
        """Look once; raises DiscoveryFailed."""
        if self.config.srv is not None:
            return await self._services(self.config.srv)
        name, port = split(self.config.address or "")
        answer = await self.resolver.addresses(name, self.config.lookup_family)
        return Found(tuple(members(answer, port, name)), _finite(answer.holds))

    async def _services(self, name: str) -> Found:
        services, holds = await self.resolver.services(name)
        answers = await self._resolve({each.target for each in services})
        ranks = {value: rank for rank, value in enumerate(sorted({s.priority for s in services}))}
        found = [
            member
            for each in sorted(services, key=lambda each: (each.priority, each.target, each.port))
            for member in served(each, ranks[each.priority], answers[each.target])
        ]
        holds = min([holds, *(answer.holds for answer in answers.values())])
        return Found(tuple(found), _finite(holds))

    async def _resolve(self, targets: Iterable[str]) -> dict[str, Answer]:
        """Return the addresses of all targets, asked for at once; raises DiscoveryFailed."""
        answers: dict[str, Answer] = {}
        failures: list[DiscoveryFailed] = []

        async def resolve(target: str) -> None:
            try:
                answers[target] = await self.resolver.addresses(target, self.config.lookup_family)
            except DiscoveryFailed as failure:
                failures.append(failure)

        async with trio.open_nursery() as nursery:
            for target in targets:
                nursery.start_soon(resolve, target)
        if failures:
            raise failures[0]
        return answers


@attrs.frozen
class LogicalFinder:
    """Finds one host: the first address that a name has; connections to older ones stay."""

    config: LogicalDns
    resolver: Resolver

    async def __call__(self) -> Found:
        """Look once; raises DiscoveryFailed, also where the name has no address."""
        name, port = split(self.config.address)
        answer = await self.resolver.addresses(name, self.config.lookup_family)
        if not answer.addresses:
            raise DiscoveryFailed(f"DNS: {name} has no address")
        address = joined(answer.addresses[0], port)
        host = Member(address, hostname=name, logical=self.config.address)
        return Found((host,), _finite(answer.holds))


def members(answer: Answer, port: int, name: str) -> Iterable[Member]:
    """Return the host at each address, sorted: DNS servers shuffle."""
    return (Member(joined(each, port), hostname=name) for each in sorted(answer.addresses))


def served(service: Service, priority: int, answer: Answer) -> Iterable[Member]:
    """Return the hosts that an SRV record is about; a weight of 0 is the least there is."""
    for each in members(answer, service.port, service.target.rstrip(".")):
        yield attrs.evolve(each, weight=max(service.weight, 1), priority=priority)


def split(address: str) -> tuple[str, int]:
    """Return the name and the port of `name:port`."""
    name, _, port = address.rpartition(":")
    return name, int(port)


def joined(address: str, port: int) -> str:
    """Return a literal address with a port."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _finite(holds: float) -> float | None:
    return None if holds == inf else holds
