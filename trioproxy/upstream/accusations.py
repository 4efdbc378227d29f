"""What this worker has against hosts, on its way to main."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import attrs
import trio

if TYPE_CHECKING:
    from trioproxy.upstream.monitor import EjectionType

MOST = 100
"""Accusations that wait for main to listen; who is accused once too often will be so again."""


@attrs.frozen
class Accusation:
    """A host, by its cluster and key, has failed too often in a row."""

    cluster: str
    key: str
    kind: EjectionType


class Accusations:
    """A queue of them; calling it adds one, and never waits."""

    def __init__(self) -> None:
        self._in, self._out = trio.open_memory_channel[Accusation](MOST)

    def __call__(self, cluster: str, key: str, kind: EjectionType) -> None:
        """Accuse a host; this is forgotten where too many wait already."""
        with suppress(trio.WouldBlock):
            self._in.send_nowait(Accusation(cluster, key, kind))

    async def next(self) -> Accusation:
        """Wait for the next one."""
        return await self._out.receive()
