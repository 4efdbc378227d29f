"""What a worker lends its filters: made once, handed to each filter's `prepare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from random import Random

    from trioproxy.accesslog.logger import Logger
    from trioproxy.config.access_log import AccessLog
    from trioproxy.drain.sweep import Sweep
    from trioproxy.reactor.epoll import Reactor
    from trioproxy.reactor.pipes import PipePool
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.cluster import Cluster


@attrs.frozen
class Tools:
    """The worker's reactor, sweep, pipes, statistics, chance, clusters and access logs."""

    reactor: Reactor
    sweep: Sweep
    pipes: PipePool
    stats: Writer
    rng: Random
    clusters: Mapping[str, Cluster]
    access_log: Callable[[AccessLog], Logger]
    import_path: tuple[Path, ...] = ()


class Preparable(Protocol):
    """A filter's configuration that needs something made before it can serve."""

    def prepare(self, tools: Tools) -> object:
        """Return the filter itself; called once per worker and listener, before it listens."""
        ...


def prepared(configuration: object, tools: Tools) -> object:
    """Return the filter that a configuration describes: often the configuration itself."""
    prepare = getattr(configuration, "prepare", None)
    return configuration if prepare is None else prepare(tools)
