"""Which sockets a generation asks for, by its configuration and its command line."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from trioproxy.server.sockets import BindFailed, Wanted, open_sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioproxy.config.server import Config
    from trioproxy.server.settings import Settings
    from trioproxy.server.sockets import Sockets

CONTROL_BACKLOG = ADMIN_BACKLOG = 128


class BaseIdTaken(BindFailed):
    """Another instance has the name under which this one would be found."""


def wanted_by_admin(config: Config) -> list[Wanted]:
    """Return what the admin interface asks for."""
    if config.admin is None:
        return []
    return [Wanted("admin", config.admin.address, ADMIN_BACKLOG, config.admin.mode)]


def wanted_by_listeners(config: Config, workers: int) -> list[Wanted]:
    """Return what the listeners ask for: a TCP socket per worker shares the load evenly."""
    return [
        Wanted(listener.name, listener.address, listener.backlog, listener.mode, workers)
        for listener in config.listeners
    ]


@contextmanager
def open_control(settings: Settings) -> Iterator[Sockets]:
    """Hold the name under which the next generation finds this one.

    Raises BaseIdTaken.
    """
    kind, mode = socket.SOCK_SEQPACKET, settings.socket_mode
    control = Wanted("control", settings.control_address, CONTROL_BACKLOG, mode, kind=kind)
    with ExitStack() as stack:
        try:
            sockets = stack.enter_context(open_sockets([control] if settings.hot_restart else []))
            sockets.listen()
        except BindFailed as failure:
            raise BaseIdTaken(
                f"{failure}; is another instance running with --base-id {settings.base_id}?"
            ) from failure
        yield sockets
