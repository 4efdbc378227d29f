"""Which filter chain a connection is for: decided in a plain function, from what is known of it."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

import attrs

from trioproxy.config.networks import networks
from trioproxy.tls.names import candidates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trioproxy.config.filter_chain import FilterChainMatch
    from trioproxy.config.networks import Network

    Networks = Sequence[Network]
    Rank = tuple[int, ...]

REMEMBERED = 4096
"""Answers that are remembered; clients make names up, so there is a bound."""


@attrs.frozen
class Arrival:
    """What a chain is chosen by; port 0 and no source for a Unix socket, no names without TLS."""

    port: int = 0
    source: str = ""
    tls: bool = False
    server_name: str = ""
    protocols: tuple[str, ...] = ()


class Matcher:
    """Chooses among several matches, by their index."""

    def __init__(self, matches: Iterable[FilterChainMatch]) -> None:
        self._matches = tuple(
            (match, networks("source_prefix_ranges", match.source_prefix_ranges))
            for match in matches
        )
        self.inspects = any(match.inspects for match, _ in self._matches)
        self._by_source = any(ranges for _, ranges in self._matches)
        self._protocols = frozenset(
            protocol for match, _ in self._matches for protocol in match.application_protocols
        )
        self.choose = lru_cache(REMEMBERED)(self._choose)

    def __repr__(self) -> str:
        return f"<Matcher of {len(self._matches)}>"

    def source(self, address: str) -> str:
        """Return a client's address if a choice is made by it."""
        return address if self._by_source else ""

    def known(self, protocols: Iterable[str]) -> tuple[str, ...]:
        """Return those of a client's protocols by which a choice is made."""
        return tuple(sorted(self._protocols.intersection(protocols)))

    def _choose(self, arrival: Arrival) -> int | None:
        """Return the index of the match that fits best; None where none does."""
        ranks = [
            (rank(match, ranges, arrival), -index)
            for index, (match, ranges) in enumerate(self._matches)
        ]
        fitting = [(found, index) for found, index in ranks if found is not None]
        return -max(fitting)[1] if fitting else None


def rank(match: FilterChainMatch, ranges: Networks, arrival: Arrival) -> Rank | None:
    """Return how specific a match with these ranges is, for comparison; None if it does not fit."""
    parts = (
        _port(match, arrival),
        _server_name(match, arrival),
        _transport(match, arrival),
        _protocols(match, arrival),
        _source(ranges, arrival),
    )
    return None if None in parts else tuple(part or 0 for part in parts)


def _port(match: FilterChainMatch, arrival: Arrival) -> int | None:
    if match.destination_port is None:
        return 0
    return 1 if match.destination_port == arrival.port else None


def _server_name(match: FilterChainMatch, arrival: Arrival) -> int | None:
    if not match.server_names:
        return 0
    names = {name.lower() for name in match.server_names}
    found = candidates(arrival.server_name)
    return next((len(found) - at for at, name in enumerate(found) if name in names), None)


def _transport(match: FilterChainMatch, arrival: Arrival) -> int | None:
    if match.transport_protocol is None:
        return 0
    return 1 if (match.transport_protocol == "tls") == arrival.tls else None


def _protocols(match: FilterChainMatch, arrival: Arrival) -> int | None:
    if not match.application_protocols:
        return 0
    return 1 if set(match.application_protocols) & set(arrival.protocols) else None


def _source(ranges: Networks, arrival: Arrival) -> int | None:
    """A prefix of length 0 is a match, and more specific than none."""
    if not ranges:
        return 0
    if not arrival.source:
        return None
    source = ip_address(arrival.source)
    return max((1 + each.prefixlen for each in ranges if source in each), default=None)
