"""What the clusters of a worker work with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs
import trio

from trioproxy.tls.secrets import Secrets, turnstile

if TYPE_CHECKING:
    from random import Random

    import trio

    from trioproxy.drain.sweep import Sweep
    from trioproxy.reactor.epoll import Reactor
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.monitor import EjectionType


Accuse: TypeAlias = Callable[[str, str, "EjectionType"], None]
"""Tells main by what a host, named by cluster and key, stands out."""


@attrs.frozen
class ClusterTools:
    """The worker's reactor, sweep, statistics and chance, whom to tell of outliers, and what TLS
    has in common; `connections` is the nursery of what outlives exchanges."""

    reactor: Reactor
    sweep: Sweep
    stats: Writer
    rng: Random
    connections: trio.Nursery
    accuse: Accuse
    turnstile: trio.Semaphore = attrs.Factory(turnstile)
    secrets: Secrets = attrs.Factory(Secrets)
