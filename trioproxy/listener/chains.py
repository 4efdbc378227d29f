"""A filter chain in service: what is run for a connection that it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import attrs

from trioproxy.config.filter_chain import ANYTHING
from trioproxy.filters.chain import chain
from trioproxy.filters.tools import prepared
from trioproxy.listener.termination import Termination

if TYPE_CHECKING:
    from trioproxy.config.filter_chain import FilterChain
    from trioproxy.drain.policy import Policy
    from trioproxy.filters.chain import Filter, Forward
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.handover import Adopter
    from trioproxy.filters.tools import Tools


@attrs.frozen
class Chain:
    """Filters, how connections leave them, TLS that ends before them, and who may adopt some.

    `key` names it to the next generation: what has another name, or match, is another chain.
    """

    key: str
    run: Forward[Connection]
    policy: Policy
    termination: Termination | None
    adopter: Adopter | None

    @property
    def moves(self) -> bool:
        """Whether its connections may go to the next generation."""
        return self.adopter is not None and self.policy.hand_over


def open_chain(
    config: FilterChain, policy: Policy, listener: str, scope: str, tools: Tools
) -> Chain:
    """Put a chain in service; raises ValueError where the files of its TLS will not do."""
    filters = [prepared(each, tools) for each in config.filters]
    termination = None
    if config.tls is not None:
        owner = f"listener {listener}" + (f", chain {config.name}" if config.name else "")
        termination = Termination(config.tls, owner, scope, tools)
    # What a filter of one's own remembers of a connection, nobody can carry over, nor TLS.
    movable = termination is None and len(filters) == 1 and hasattr(filters[0], "refusal")
    return Chain(
        config.name or ("" if config.match == ANYTHING else str(config.match)),
        chain(cast("list[Filter[Connection]]", filters)),
        policy,
        termination,
        cast("Adopter", filters[0]) if movable else None,
    )
