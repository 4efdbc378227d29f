"""What the clusters of a worker work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from random import Random

    import trio

    from trioproxy.drain.sweep import Sweep
    from trioproxy.reactor.epoll import Reactor
    from trioproxy.stats.writer import Writer


@attrs.frozen
class ClusterTools:
    """The worker's reactor, sweep, statistics and chance; a nursery for what outlives exchanges."""

    reactor: Reactor
    sweep: Sweep
    stats: Writer
    rng: Random
    connections: trio.Nursery
