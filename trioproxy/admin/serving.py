"""Serving the application: hypercorn speaks HTTP, the connections are ours.

Its own accept loop is not used because of how it ends: it shields what it sends without a deadline,
so a client that does not read would keep the process. A closed stream lets go of any shield.
"""

from __future__ import annotations

import logging
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
        self._streams: set[trio.SocketStream] = set()
        self._departures = trio.lowlevel.ParkingLot()

    async def serve(self, listening: socket.socket) -> None:
        """Accept and serve until cancelled, then end within GRACE; `listening` stays open."""
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening.dup()))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._close_at_last)
            await trio.serve_listeners(self._serve, [listener], handler_nursery=nursery)

    async def _serve(self, stream: trio.SocketStream) -> None:
        self._streams.add(stream)
        try:
            await TCPServer(
                self._app,
                self._config,
                WorkerContext(None),
                ConnectionState({}),
                stream,  # type: ignore[arg-type]  # a plain one is as good
            )
        except Exception:  # a connection ends here; main is more than its admin interface
            log.exception("a connection failed")
        finally:
            self._streams.discard(stream)
            self._departures.unpark_all()

    async def _close_at_last(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(GRACE, shield=True):
                while self._streams:
                    await self._departures.park()
            for stream in self._streams:
                stream.socket.close()
