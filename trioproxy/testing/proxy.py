"""The proxy under test: its generations, their listen sockets, and what can be done to it."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, asynccontextmanager
from math import inf
from typing import TYPE_CHECKING

import trio

from trioproxy.accesslog.origin import Origin
from trioproxy.config.options import said
from trioproxy.drain.lifetime import Cause
from trioproxy.listener.assembly import open_plane
from trioproxy.server.as_parent import LAST_MOMENTS
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region
from trioproxy.testing.background import open_background
from trioproxy.testing.configuration import LOOPBACK, aimed, place_of, read
from trioproxy.testing.generation import Generation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from trioproxy.config.address import Address
    from trioproxy.config.server import Config
    from trioproxy.stats.snapshot import Snapshot


class Proxy:
    """A proxy that serves. The last of its `generations`, of those that live, is who accepts."""

    def __init__(
        self,
        upstreams: Mapping[str, int],
        rng: random.Random,
        nursery: trio.Nursery,
        stack: ExitStack,
    ) -> None:
        self.generations: list[Generation] = []
        self._upstreams = upstreams
        self._rng = rng
        self._nursery = nursery
        self._stack = stack
        self._region = stack.enter_context(Region.create())
        self._sockets: dict[Address | str, socket.socket] = {}
        self._epoch = 0

    def __repr__(self) -> str:
        return f"<Proxy {self.generations}>"

    @property
    def serving(self) -> Generation:
        """The generation that accepts."""
        return self.generations[-1]

    def port(self, listener: str = "") -> int:
        """Return the port of a listener, by default the first one; raises KeyError."""
        group = self.listening(self.serving.config)
        port: int = group[listener or next(iter(group))][0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The URL of the first listener."""
        return f"http://{LOOPBACK}:{self.port()}"

    async def connect(self, listener: str = "") -> trio.SocketStream:
        """Connect to a listener, by default the first one; closed with the proxy at the latest."""
        stream = await trio.open_tcp_stream(LOOPBACK, self.port(listener))
        self._stack.callback(stream.socket.close)
        return stream

    def stats(self) -> Snapshot:
        """Return all statistics, as the generation sees them that accepts."""
        with Reader(self._region, self.serving.epoch) as reader:
            return reader.snapshot()

    def stat(self, name: str) -> int:
        """Return a counter or a gauge; raises KeyError where there is none."""
        stats = self.stats()
        return {**stats.counters, **stats.gauges}[name]

    def drain(self, *, time: float | None = None, immediate: bool | None = None) -> None:
        """Ask connections to leave, as `POST /drain_listeners?graceful&skip_exit` does.

        `time` in seconds, and whether that is `immediate`, are as configured unless they are said.
        Nothing in flight is ended.
        """
        self.serving.drain(Cause.ADMIN, inf, time=time, immediate=immediate)

    def undrain(self) -> None:
        """Withdraw that; who was told to leave goes on leaving."""
        self.serving.undrain(Cause.ADMIN)

    async def shutdown(self, time: float | None = None) -> None:
        """Leave as on SIGTERM; returns when everybody is gone, after `time` seconds at the latest.

        They are as configured unless they are said.
        """
        config = self.serving.config
        await trio.sleep(config.shutdown.lame_duck)
        self.serving.close([each.name for each in config.listeners])
        await self.serving.end(said(time, config.shutdown.time))

    async def restart(self, config: Path | str | None = None) -> Generation:
        """Have a new generation take over, with another configuration if one is given.

        Returns the old one, which leaves: what can move is moving, what cannot drains. A third
        generation has to be gone before, and gets 10 s for it. Raises ConfigError, and then
        nothing has happened.
        """
        old = self.serving
        new = await self.start(old.config if config is None else read(config))
        for earlier in self.generations[:-2]:
            await earlier.end(LAST_MOMENTS)
        kept = {place_of(each) for each in new.config.listeners}
        life = min(each.config.drain.parent_shutdown_time for each in (old, new))
        old.close([each.name for each in old.config.listeners if place_of(each) not in kept])
        old.hand_over(new)
        old.drain(Cause.RESTART, life)
        new.accept(self.listening(new.config))
        self._nursery.start_soon(old.end_when_empty, life)
        return old

    async def start(self, config: Config) -> Generation:
        """Return a new generation that does not accept yet."""
        ports = {
            each.address: self.listening(config)[each.name][0].getsockname()[1]
            for each in config.listeners
        }
        generation: Generation = await self._nursery.start(
            self._live, self._epoch, aimed(config, ports, self._upstreams)
        )
        self._epoch += 1
        return generation

    async def _live(
        self, epoch: int, config: Config, *, task_status: trio.TaskStatus[Generation]
    ) -> None:
        origin = Origin("test", epoch, 0)
        with self._region.claim(epoch, 0) as writer:
            async with open_plane(config, writer, origin, self._rng) as plane:
                generation = Generation(epoch, config, plane)
                self.generations.append(generation)
                task_status.started(generation)
                await generation.live()
        self.generations.remove(generation)
        generation.gone.set()

    def listening(self, config: Config) -> dict[str, list[socket.socket]]:
        """Return the listen sockets by listener; generations share those of the same address."""
        for each in config.listeners:
            if place_of(each) not in self._sockets:
                sock = self._stack.enter_context(socket.create_server((LOOPBACK, 0)))
                self._sockets[place_of(each)] = sock
        return {each.name: [self._sockets[place_of(each)]] for each in config.listeners}


@asynccontextmanager
async def open_proxy(
    config: Path | str, upstreams: Mapping[str, int] | None = None, *, seed: int = 0
) -> AsyncIterator[Proxy]:
    """Serve a configuration, a file or its text, each listener on a free port of 127.0.0.1.

    `upstreams` are the ports on 127.0.0.1 that stand in for the endpoints of clusters, by cluster.
    One that is not among them has its own; if that is a listener of this configuration, that one.
    Nothing is discovered here: a cluster with `discovery` that is not among them has no hosts.
    `seed` is that of its random numbers: when each gets notice, which host is picked.

    Raises ConfigError, and ValueError where there is no such cluster.
    """
    first = read(config)
    with ExitStack() as stack:
        async with open_background() as nursery:
            proxy = Proxy(upstreams or {}, random.Random(seed), nursery, stack)
            (await proxy.start(first)).accept(proxy.listening(first))
            yield proxy
