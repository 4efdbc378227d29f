"""Puts a worker's data plane together from its configuration, in the order of dependency."""

from __future__ import annotations

import itertools
import random
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.accesslog.format import compile_format
from trioproxy.accesslog.output import Outcome
from trioproxy.accesslog.writer import AccessLogs, RecordLog
from trioproxy.drain.sweep import Sweep
from trioproxy.filters.tools import Tools
from trioproxy.listener.listener import Listener
from trioproxy.listener.plane import Plane
from trioproxy.reactor.pipes import PipePool
from trioproxy.reactor.running import open_reactor
from trioproxy.stats.server import FilesystemStats
from trioproxy.upstream.accusations import Accusations
from trioproxy.upstream.cluster import Cluster
from trioproxy.upstream.tools import ClusterTools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from trioproxy.accesslog.origin import Origin
    from trioproxy.accesslog.record import Record
    from trioproxy.config.access_log import AccessLog
    from trioproxy.config.server import Config
    from trioproxy.stats.writer import Writer

wall_clock = time.time  # noqa: TID251 - Unix time for log lines; whoever needs it is given it


class LogCounter:
    """Counts what becomes of access log lines; each file is written by a thread of its own."""

    def __init__(self, writer: Writer) -> None:
        stats = FilesystemStats(writer)
        self._lock = threading.Lock()
        self._counters = {
            Outcome.WRITTEN: stats.write_completed,
            Outcome.FAILED: stats.write_failed,
            Outcome.DROPPED: stats.write_dropped,
            Outcome.NOT_REOPENED: stats.reopen_failed,
        }

    def __call__(self, outcome: Outcome, number: int) -> None:
        """Count one outcome, on any thread."""
        with self._lock:
            self._counters[outcome].add(number)


@attrs.frozen
class LogOpener:
    """Opens access logs for filters: the file, and what makes a record a line of it."""

    files: AccessLogs
    origin: Origin

    def __call__(self, config: AccessLog) -> Callable[[Record], None]:
        """Return what logs a record; raises OSError where the file cannot be opened."""
        form = config.fields if config.fields is not None else config.format
        return RecordLog(compile_format(form, self.origin), self.files.open(str(config.path)))


@asynccontextmanager
async def open_plane(
    config: Config, writer: Writer, origin: Origin, rng: random.Random | None = None
) -> AsyncIterator[Plane]:
    """A data plane, warm but not accepting; what is left at the exit is cut.

    Raises OSError where an access log cannot be opened.
    """
    rng = rng or random.Random()
    async with open_reactor() as reactor, trio.open_nursery() as connections:
        sweep = Sweep(reactor)
        with AccessLogs(LogCounter(writer)) as files, PipePool() as pipes:
            accusations = Accusations()
            lent = ClusterTools(reactor, sweep, writer, rng, connections, accusations)
            clusters = {each.name: Cluster(each, lent) for each in config.clusters}
            tools = Tools(
                reactor,
                sweep,
                pipes,
                writer,
                rng,
                clusters,
                LogOpener(files, origin),
                wall_clock,
                origin,
                config.import_path,
                turnstile=lent.turnstile,
                secrets=lent.secrets,
            )
            plane = Plane(tools, files, connections, accusations)
            numbers = itertools.count(1)
            for each in config.listeners:
                plane.add(
                    Listener(
                        each,
                        tools,
                        connections,
                        numbers,
                        config.drain,
                        plane.arrived,
                        plane.departed,
                    )
                )
            connections.start_soon(sweep.run)
            connections.start_soon(tools.secrets.watch)
            connections.start_soon(plane.accept)
            try:
                yield plane
            finally:
                connections.cancel_scope.cancel()
                for cluster in clusters.values():
                    cluster.close()
