"""Closing listeners in such a way that nobody who waits is lost, and opening them again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from trioproxy.server.messages import Refuse, Suspend
from trioproxy.server.sockets import BindFailed

if TYPE_CHECKING:
    from collections.abc import Collection

    from trioproxy.server.sockets import Bound
    from trioproxy.server.supervisor import Supervisor

log = logging.getLogger("trioproxy.main")


async def close(workers: Supervisor, sockets: Collection[Bound]) -> None:
    """Accept no more; who waits at these sockets is let in, and who comes later refused."""
    for bound in sockets:
        if bound.file is not None:
            bound.withdraw()
    await workers.tell(Suspend())
    await workers.tell(Refuse(tuple({bound.listener for bound in sockets})))
    await workers.obeyed()  # who waited is let in
    for bound in sockets:
        bound.withdraw()
    if sockets:
        log.info("listeners refuse connections")


def reopen(sockets: Collection[Bound]) -> list[BindFailed]:
    """Have these sockets listen again; returns what fails, which is logged."""
    failures = []
    for bound in sockets:
        try:
            bound.restore()
        except BindFailed as failure:
            log.error("%s", failure)
            failures.append(failure)
    return failures
