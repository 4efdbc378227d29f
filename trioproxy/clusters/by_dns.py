"""Hosts by DNS: every address a host, or one host at the address of the day."""

from __future__ import annotations

import logging
from math import inf
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.clusters.finding import DiscoveryFailed, Found
from trioproxy.clusters.resolver import Answer
from trioproxy.upstream.member import Member

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioproxy.clusters.resolver import Resolver, Service
    from trioproxy.config.discovery import LogicalDns, StrictDns


log = logging.getLogger("trioproxy.clusters")

AT_ONCE = 16  # targets of SRV records that are asked for
NOT_KNOWN = Answer((), holds=5.0)
"""What there is of a target that nobody could tell, and when to ask again."""


@attrs.define
class StrictFinder:
    """Finds a host at every address of a name.

    Where SRV records name a target that nobody can tell the addresses of, it has those that it had.
    """

    config: StrictDns
    resolver: Resolver
    _known: dict[str, Answer] = attrs.field(factory=dict)

    async def __call__(self) -> Found:
        """Look once; raises DiscoveryFailed."""
        until = trio.current_time() + self.config.timeout
        if self.config.srv is not None:
            return await self._services(self.config.srv, until)
        name, port = split(self.config.address or "")
        answer = await self.resolver.addresses(name, self.config.lookup_family, until)
        return Found(tuple(members(answer, port, name)), _finite(answer.holds))

    async def _services(self, name: str, until: float) -> Found:
        services, holds = await self.resolver.services(name, until)
        self._known = answers = await self._resolve({each.target for each in services}, until)
        ranks = {value: rank for rank, value in enumerate(sorted({s.priority for s in services}))}
        found = [
            member
            for each in sorted(services, key=lambda each: (each.priority, each.target, each.port))
            for member in served(each, ranks[each.priority], answers[each.target])
        ]
        holds = min([holds, *(answer.holds for answer in answers.values())])
        return Found(tuple(found), _finite(holds))

    async def _resolve(self, targets: Iterable[str], until: float) -> dict[str, Answer]:
        """Return the addresses of targets; raises DiscoveryFailed where nobody can tell any."""
        answers: dict[str, Answer] = {}
        failures: dict[str, DiscoveryFailed] = {}
        turns = trio.CapacityLimiter(AT_ONCE)
        family = self.config.lookup_family

        async def resolve(target: str) -> None:
            async with turns:
                try:
                    answers[target] = await self.resolver.addresses(target, family, until)
                except DiscoveryFailed as failure:
                    failures[target] = failure

        async with trio.open_nursery() as nursery:
            for target in targets:
                nursery.start_soon(resolve, target)
        for target, failure in failures.items():
            if not answers:
                raise failure
            log.warning(
                "%s; %s", failure, "its hosts stay" if target in self._known else "no hosts"
            )
        return answers | {
            target: attrs.evolve(self._known.get(target, NOT_KNOWN), holds=NOT_KNOWN.holds)
            for target in failures
        }


@attrs.frozen
class LogicalFinder:
    """Finds one host: the first address that a name has; connections to older ones stay."""

    config: LogicalDns
    resolver: Resolver

    async def __call__(self) -> Found:
        """Look once; raises DiscoveryFailed, also where the name has no address."""
        name, port = split(self.config.address)
        until = trio.current_time() + self.config.timeout
        answer = await self.resolver.addresses(name, self.config.lookup_family, until)
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
