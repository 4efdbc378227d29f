"""What happened to the health of hosts, as JSON lines in Envoy's words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trioproxy.accesslog.start_time import compile_start_time

if TYPE_CHECKING:
    from collections.abc import Callable


class EventLog:
    """The events of one cluster; `write` takes a line, `wall_clock` returns Unix time."""

    def __init__(
        self, cluster: str, write: Callable[[bytes], None], wall_clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._write = write
        self._wall_clock = wall_clock
        self._timestamp = compile_start_time()

    def note(self, **said: object) -> None:
        """Append one line."""
        head = {"timestamp": self._timestamp(self._wall_clock()), "cluster_name": self._cluster}
        self._write(json.dumps(head | said).encode() + b"\n")
