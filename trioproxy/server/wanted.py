"""Which sockets a generation asks for, by its configuration and its command line."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack, contextmanager, suppress
from errno import EADDRINUSE
from typing import TYPE_CHECKING

from trioproxy.config.options import LARGEST
from trioproxy.server.sockets import BindFailed, Sockets, Wanted, open_sockets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from trioproxy.config.options import Options
    from trioproxy.config.server import Config
    from trioproxy.server.inherited import Inherited

log = logging.getLogger("trioproxy.main")

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
def open_control(
    options: Options, rng: Random, inherited: Sequence[Inherited] = (), *, beside: bool = False
) -> Iterator[tuple[int, Sockets]]:
    """Hold the name under which the next generation finds this one; yields the base id, too.

    `beside`: a parent that does not answer may have the name, and then nothing is held, as where
    hot restart is disabled. Raises BaseIdTaken.
    """
    if options.disable_hot_restart:
        yield options.base_id, Sockets([])
        return
    with ExitStack() as stack:
        if options.use_dynamic_base_id:
            base_id, sockets = _bind_some(options, rng, stack)
        else:
            base_id, sockets = options.base_id, Sockets([])
            try:
                sockets = _bind_control(options, base_id, stack, inherited)
            except BaseIdTaken as taken:
                if not beside:
                    raise
                log.warning("no next generation will find this one: %s", taken)
        yield base_id, sockets


def _bind_some(options: Options, rng: Random, stack: ExitStack) -> tuple[int, Sockets]:
    """Bind under some base id that is free."""
    while True:
        base_id = rng.randrange(LARGEST)
        with suppress(BaseIdTaken):
            return base_id, _bind_control(options, base_id, stack, ())


def _bind_control(
    options: Options, base_id: int, stack: ExitStack, inherited: Sequence[Inherited]
) -> Sockets:
    address, mode = options.control_address(base_id), f"{options.socket_mode:o}"
    control = Wanted("control", address, CONTROL_BACKLOG, mode, kind=socket.SOCK_SEQPACKET)
    try:
        sockets = stack.enter_context(open_sockets([control], inherited))
        sockets.listen()
    except BindFailed as failure:
        question = f"is another instance running with --base-id {base_id}?"
        if isinstance(failure.__cause__, OSError) and failure.__cause__.errno == EADDRINUSE:
            raise BaseIdTaken(f"{failure}; {question}") from failure
        raise
    return sockets
