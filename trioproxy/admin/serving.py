"""Serving the application: hypercorn speaks HTTP, the connections are ours.

Its own accept loop is not used because of how it ends: it shields what it sends without a deadline,
so a client that does not read would keep the process. A closed stream lets go of any shield.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, cast

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

if TYPE_CHECKING:
    import socket

    from hypercorn.typing import ASGIFramework
    from starlette.types import ASGIApp

log = logging.getLogger("trioproxy.admin")

GRACE = 1.0  # seconds at the end, for answers that are being sent
IDLE = 15.0  # seconds between two requests


class Server:
    """Serves one application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = wrap_app(cast("ASGIFramework", app), 0, "asgi")
        self._config = Config()
        self._config.errorlog = log
        self._config.include_server_header = False
        self._config.keep_alive_timeout = IDLE
        self._visits: dict[trio.SocketStream, WorkerContext] = {}
        self._departures = trio.lowlevel.ParkingLot()

    async def serve(self, listening: socket.socket) -> None:
        """Accept and serve until cancelled, then end within GRACE; `listening` stays open."""
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening.dup()))
        async with trio.open_nursery() as nursery:
            visits = await nursery.start(self._keep_visits)
            try:
                await trio.serve_listeners(self._serve, [listener], handler_nursery=visits)
            finally:
                with trio.move_on_after(GRACE, shield=True):
                    await self._see_off()
                visits.cancel_scope.cancel()
                for stream in self._visits:
                    stream.socket.close()

    async def _keep_visits(self, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """Run connections, which are not cancelled before `serve` has seen them off."""
        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.shield = True
            task_status.started(nursery)
            await trio.sleep_forever()

    async def _serve(self, stream: trio.SocketStream) -> None:
        self._visits[stream] = context = WorkerContext(max_requests=sys.maxsize)  # it counts them
        try:
            await TCPServer(
                self._app,
                self._config,
                context,
                ConnectionState({}),
                stream,  # type: ignore[arg-type]  # a plain one is as good
            )
        except Exception:  # a connection ends here; main is more than its admin interface
            log.exception("a connection failed")
        finally:
            del self._visits[stream]
            self._departures.unpark_all()

    async def _see_off(self) -> None:
        """Answer what was asked, and newcomers, who are about to ask; then close."""
        self._config.keep_alive_max_requests = 0  # answers say that they are the last
        for context in tuple(self._visits.values()):
            if context.requests:
                await context.terminated.set()
        while self._visits:
            await self._departures.park()
