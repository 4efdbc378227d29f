"""What a worker lends its filters: made once, handed to each filter's `prepare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio  # noqa: TC002

from trioproxy.accesslog.origin import NOWHERE, Origin
from trioproxy.filters.handover import HandOver
from trioproxy.filters.health import Health
from trioproxy.tls.secrets import Secrets, turnstile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from random import Random

    from trioproxy.accesslog.record import Record
    from trioproxy.config.access_log import AccessLog
    from trioproxy.drain.sweep import Sweep
    from trioproxy.reactor.epoll import Reactor
    from trioproxy.reactor.pipes import PipePool
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.cluster import Cluster

    Log = Callable[[Record], None]


@attrs.frozen
class Tools:
    """A worker's reactor, sweep, pipes, statistics, chance, clusters, logs, clock and so on.

    `turnstile` lets computations of TLS handshakes pass, `secrets` sees to their certificates.
    """

    reactor: Reactor
    sweep: Sweep
    pipes: PipePool
    stats: Writer
    rng: Random
    clusters: Mapping[str, Cluster]
    access_log: Callable[[AccessLog], Log]
    wall_clock: Callable[[], float]
    origin: Origin = NOWHERE
    import_path: tuple[Path, ...] = ()
    handover: HandOver = attrs.Factory(HandOver)
    health: Health = attrs.Factory(Health)
    turnstile: trio.Semaphore = attrs.Factory(turnstile)
    secrets: Secrets = attrs.Factory(Secrets)


def prepared(configuration: object, tools: object) -> object:
    """Return the filter that a configuration describes: often the configuration itself.

    One that needs something made before it can serve has `prepare(tools)`, which is called once per
    worker and listener; a network filter is lent `Tools`, an HTTP filter `HttpTools`.
    """
    prepare = getattr(configuration, "prepare", None)
    return configuration if prepare is None else prepare(tools)
