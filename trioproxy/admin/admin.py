"""The admin interface of one generation.

It stands beside the way to readiness, not on it: what it takes to answer is imported when the first
connection is waiting, in a thread.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from trioproxy.admin.own_stats import OwnStats
from trioproxy.admin.view import View
from trioproxy.stats.reader import Reader

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Collection, Iterator

    from trioproxy.admin.instance import Instance


@contextmanager
def open_admin(instance: Instance, allow_hosts: Collection[str] = ()) -> Iterator[Admin]:
    """Make the admin interface of `instance`, once in its life.

    `allow_hosts` are names by which it may be reached, beside addresses and names without a dot.
    """
    with Reader(instance.region, instance.epoch) as reader:
        yield Admin(View(instance, OwnStats(instance, reader)), allow_hosts)


class Admin:
    """Shows one instance to whoever connects."""

    def __init__(self, view: View, allow_hosts: Collection[str]) -> None:
        self._view = view
        self._allow_hosts = allow_hosts

    async def serve(self, listening: socket.socket) -> None:
        """Serve until cancelled; `listening` stays open, to be served on again or passed on."""
        await trio.lowlevel.wait_readable(listening)
        serve = await trio.to_thread.run_sync(self._load)
        await serve(listening)

    def _load(self) -> Callable[[socket.socket], Awaitable[None]]:
        from trioproxy.admin.app import make_app
        from trioproxy.admin.serving import Server

        return Server(make_app(self._view, self._allow_hosts)).serve
