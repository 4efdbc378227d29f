"""What the clusters of a worker work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.tls.secrets import Secrets, turnstile

if TYPE_CHECKING:
    from random import Random

    import trio

    from trioproxy.drain.sweep import Sweep
    from trioproxy.reactor.epoll import Reactor
    from trioproxy.stats.writer import Writer


@attrs.frozen
class ClusterTools:
    """The worker's reactor, sweep, statistics, chance, and what TLS has in common.

    `connections` is the nursery of what outlives exchanges.
    """

    reactor: Reactor
    sweep: Sweep
    stats: Writer
    rng: Random
    connections: trio.Nursery
    turnstile: trio.Semaphore = attrs.Factory(turnstile)
    secrets: Secrets = attrs.Factory(Secrets)
