"""A real data plane on real sockets in this process, and what has to be true of it ever after.

    async with serving(HTTP) as proxy:
        await proxy.play(\"\"\" ... \"\"\")
        assert proxy.counted("http.web") == {...}

In the YAML `$origin`, `$origin2` become upstreams whose connections the dialogue takes, `$refusing`
an address that refuses, `$deaf` one that does not answer, `$log` the access log, which is read into
`proxy.log` at the end. Then no connection, descriptor or timed entry may be left, and every gauge
stands at 0.
"""

from __future__ import annotations

import json
import os
import re
import socket
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import trio
from dialogue import PATIENCE, Peer, Stage
from upstreams import Deaf, Upstream, refusing

from trioproxy.accesslog.origin import Origin
from trioproxy.config.loader import load
from trioproxy.filters.registry import REGISTRY
from trioproxy.listener.assembly import open_plane
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region
from trioproxy.upstream.member import FAILED_ACTIVE_HC

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from trioproxy.config.server import Config
    from trioproxy.listener.plane import Plane
    from trioproxy.stats.snapshot import Snapshot
    from trioproxy.upstream.cluster import Cluster

    Serving = Callable[..., AbstractAsyncContextManager["Proxy"]]

# What only says how long or how much; a test that cares asks for it by name.
UNCOUNTED = re.compile(r"_(bytes_total|http[12]_total|(local|remote)|active_rq)$")


class Proxy:
    """A plane in service, seen from outside."""

    def __init__(
        self, plane: Plane, reader: Reader, upstreams: dict[str, Upstream], sockets: Sockets
    ) -> None:
        self.plane = plane
        self.upstreams = upstreams
        self.addresses = {name: group[0].getsockname() for name, group in sockets.items()}
        self.log: list[dict[str, object]] = []
        self._reader = reader
        self._stage = Stage(self._enter)
        self._clients: list[Peer] = []

    async def connect(self, listener: str = "", *, buffer: int = 0) -> Peer:
        """Connect to a listener, the first one if none is named."""
        name = listener or next(iter(self.addresses))
        client = await Peer.connect(self.addresses[name], buffer=buffer)
        self._clients.append(client)
        return client

    @property
    def origin(self) -> Upstream:
        """The upstream `$origin`."""
        return self.upstreams["origin"]

    async def play(self, table: str) -> None:
        """Play a dialogue; parties of an earlier one are still there."""
        await self._stage.play(table)

    async def party(self, name: str) -> Peer:
        """Return a party of the dialogue, for what no table can say."""
        return await self._stage.party(name)

    async def _enter(self, name: str) -> Peer:
        kind = name.partition("#")[0]
        if kind in self.upstreams:
            return await self.upstreams[kind].accept()
        return await self.connect("" if kind == "client" else kind)

    def stats(self) -> Snapshot:
        """Return all statistics."""
        return self._reader.snapshot()

    def counter(self, name: str) -> int:
        """Return one counter."""
        return self.stats().counters[name]

    def gauge(self, name: str) -> int:
        """Return one gauge."""
        return self.stats().gauges[name]

    def counted(self, scope: str) -> dict[str, int]:
        """Return the counters under `scope` that are not 0, without it."""
        found = self.stats().counters.items()
        named = {name.removeprefix(scope + "."): value for name, value in found if value}
        return {
            name: value
            for name, value in named.items()
            if f"{scope}.{name}" in self.stats().counters and not UNCOUNTED.search(name)
        }

    def cluster(self, name: str = "app") -> Cluster:
        """Return a cluster, to look into its pools."""
        return self.plane._tools.clusters[name]

    def make_ill(self, name: str = "app") -> None:
        """Have every host of a cluster fail its health checks."""
        hosts = self.cluster(name).hosts
        ill = [attrs.evolve(host.member, flags=(FAILED_ACTIVE_HC,)) for host in hosts]
        self.cluster(name).update(ill)

    async def quiet(self) -> None:
        """Wait until everybody waits for somebody."""
        await trio.testing.wait_all_tasks_blocked(0.01)

    async def until(self, gauge: str, value: int = 0) -> None:
        """Wait until a gauge has come to `value`; raises AssertionError if it never does."""
        with trio.move_on_after(PATIENCE):
            while self.gauge(gauge) != value:
                await self.quiet()
        assert self.gauge(gauge) == value, f"{gauge} stays at {self.gauge(gauge)}"

    async def empty(self) -> None:
        """Wait until nobody is connected; raises AssertionError if somebody stays."""
        with trio.move_on_after(PATIENCE):
            while self.plane.active:
                await self.quiet()
        assert not self.plane.active, f"served on though everybody left: {self.plane}"

    def leave(self) -> None:
        """Close every client and upstream of the test."""
        for client in self._clients:
            client.close()
        for upstream in self.upstreams.values():
            upstream.close()

    async def fault(self) -> Exception | None:
        """Return what `check_empty` has to say, if anything."""
        try:
            await self._check_empty()
        except AssertionError as error:
            return error
        return None

    async def _check_empty(self) -> None:
        """Hold it to its promise: what nobody uses is gone."""
        await self.empty()
        hosts = [h for c in self.plane._tools.clusters.values() for h in c.hosts]
        pooled = sum(len(h.idle) + len(h.pool or ()) for h in hosts)
        gauges = self._standing()
        expected = {name: v for name, v in gauges.items() if name.endswith("upstream_cx_active")}
        assert gauges == expected, "gauges that never came down"
        assert sum(expected.values()) == pooled, "upstream connections that are in no pool"
        for cluster in self.plane._tools.clusters.values():
            breakers = (cluster.requests, cluster.pending, cluster.retries)
            assert [each.active for each in breakers] == [0, 0, 0], f"held for ever: {breakers}"
            assert [host.active for host in cluster.hosts] == [0] * len(cluster.hosts)

    def _standing(self) -> dict[str, int]:
        """Return the gauges that are not 0, without the breakers that are rightly open."""
        full = set()
        for name, cluster in self.plane._tools.clusters.items():
            breakers = {
                "cx": cluster.connections,
                "rq_pending": cluster.pending,
                "rq": cluster.requests,
                "rq_retry": cluster.retries,
            }
            full |= {
                f"cluster.{name}.circuit_breakers.default.{kind}_open"
                for kind, breaker in breakers.items()
                if not breaker.admits
            }
        gauges = self.stats().gauges
        assert not [name for name in full if gauges[name] != 1], "a breaker is open, unseen"
        return {name: value for name, value in gauges.items() if value and name not in full}

    def check_closed(self) -> None:
        """After the plane is closed there is nothing left at all."""
        tools = self.plane._tools
        gauges = self._standing()
        assert not gauges, "gauges that outlive the plane"
        assert not tools.sweep.timed, "entries of the sweep that outlive the plane"
        assert [each.connections.active for each in tools.clusters.values()] == [0] * len(
            tools.clusters
        )


Sockets = dict[str, list[socket.socket]]


@asynccontextmanager
async def serving(
    text: str, directory: Path, *, sockets: int = 1, alone: bool = True
) -> AsyncIterator[Proxy]:
    """Serve what the YAML `text` says, on `sockets` listen sockets for each listener.

    Not `alone`, there is another one around it, which looks for descriptors that were left.
    """
    before = open_files()
    with ExitStack() as stack:
        upstreams, text = _place(text, directory, stack)
        config = _load(text, directory)
        listening = _listen(config, sockets, stack)
        region = stack.enter_context(Region.create())
        writer = stack.enter_context(region.claim(0, 0))
        reader = stack.enter_context(Reader(region, 0))
        failure: Exception | None = None
        async with open_plane(config, writer, Origin()) as plane:
            proxy = Proxy(plane, reader, upstreams, listening)
            plane.start(listening)
            try:
                yield proxy
                await proxy.quiet()
            except Exception as error:
                failure = error  # kept out of the plane's nurseries, which would wrap it
            proxy.leave()
            if failure is None:
                failure = await proxy.fault()
        if failure is not None:
            raise failure
        proxy.check_closed()
    proxy.log += read_log(directory / "access.log")
    left = open_files() - before
    assert not left or not alone, f"descriptors left: {left}"


def _place(text: str, directory: Path, stack: ExitStack) -> tuple[dict[str, Upstream], str]:
    upstreams: dict[str, Upstream] = {}

    def place(match: re.Match[str]) -> str:
        name = match[1]
        if name == "log":
            return str(directory / "access.log")
        if name == "dir":
            return str(directory)
        if name == "refusing":
            return refusing()
        if name == "deaf":
            deaf = Deaf()
            stack.callback(deaf.close)
            return deaf.name
        if name not in upstreams:
            upstreams[name] = Upstream()
            stack.callback(upstreams[name].close)
        return upstreams[name].name

    return upstreams, re.sub(r"\$([a-z]+[0-9]*)", place, text)


def _load(text: str, directory: Path) -> Config:
    path = directory / "proxy.yaml"
    path.write_text(text)
    return load(path, None, REGISTRY).config


def _listen(config: Config, count: int, stack: ExitStack) -> Sockets:
    groups: Sockets = {}
    for listener in config.listeners:
        address = listener.address.sockaddr
        group = groups[listener.name] = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket(listener.address.family))
            if listener.address.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(group[0].getsockname() if group else address)
            sock.listen(128)
            group.append(sock)
    return groups


def read_log(path: Path) -> list[dict[str, object]]:
    """Return the lines of a JSON log."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def open_files() -> set[str]:
    """Return what this process has open, by number and name."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except FileNotFoundError:
            continue  # the directory itself
    return found


FIELDS = """
    method: "%REQ(:METHOD)%", path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", protocol: "%PROTOCOL%",
    status: "%RESPONSE_CODE%", flags: "%RESPONSE_FLAGS%", details: "%RESPONSE_CODE_DETAILS%",
    received: "%BYTES_RECEIVED%", sent: "%BYTES_SENT%", host: "%UPSTREAM_HOST%",
    failure: "%UPSTREAM_TRANSPORT_FAILURE_REASON%", attempts: "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"
"""


def http(
    manager: str = "",
    route: str = "",
    *,
    cluster: str = "",
    endpoints: str = "$origin",
    routes: str = "",
    listener: str = "",
) -> str:
    """Return the YAML of a proxy that leaves requests as they are, with what is said added.

    `manager`, `route`, `cluster` and `listener` are entries of those mappings in flow style.
    """
    routes = routes or f"{{match: {{prefix: /}}, route: {{cluster: app, {route}}}}}"
    return f"""
listeners:
- name: web
  address: 127.0.0.1:0
  {listener}
  filters:
  - http_connection_manager: {{
      stat_prefix: web, use_remote_address: false, generate_request_id: false, {manager}
      access_log: {{path: $log, format: json, fields: {{ {FIELDS} }} }},
      routes: [{routes}]}}
clusters:
- {{name: app, endpoints: [{endpoints}], {cluster}}}
"""


def tcp(filter: str = "", *, cluster: str = "", endpoints: str = "$origin") -> str:  # noqa: A002
    """Return the YAML of a `tcp_proxy`, with entries added to the filter and the cluster."""
    return f"""
listeners:
- name: db
  address: 127.0.0.1:0
  filters:
  - tcp_proxy: {{
      stat_prefix: db, cluster: app, {filter}
      access_log: {{path: $log, format: json, fields: {{ {FIELDS} }} }} }}
clusters:
- {{name: app, endpoints: [{endpoints}], {cluster}}}
"""
