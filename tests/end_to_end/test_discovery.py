"""Real processes whose hosts are found, not written down: while they start, and under load."""

from __future__ import annotations

import json
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from flock import Flock, open_crowd, open_flock
from name_server import NameServer, open_name_server
from planes import open_upstream
from sites import Site, Visitor, a_site, ask, get, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from instances import Instance

RETRY = {
    "on": ["connect_failure", "reset"],
    "attempts": 3,
    "backoff": {"base": "1ms", "max": "5ms"},
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        yield site


def proxying(cluster: str = "app", name: str = "web") -> dict[str, object]:
    """A listener whose requests go to a cluster."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster, "retry": RETRY}}
    manager = {"stat_prefix": "web", "routes": [route]}
    filters = [{"http_connection_manager": manager}]
    return {"name": name, "address": "127.0.0.1:0", "filters": filters}


def found(discovery: dict[str, object], name: str = "app", **more: object) -> dict[str, object]:
    """A cluster whose hosts are found, and all of whose requests may be retried at once."""
    limits = {"max_retries": 100}
    return {"name": name, "discovery": discovery, "circuit_breakers": limits} | more


def by_dns(server: NameServer, address: str, **more: object) -> dict[str, object]:
    resolvers = [str(server.address)]
    return {"strict_dns": {"address": address, "resolvers": resolvers, "timeout": "500ms"} | more}


async def wait_for(instance: Instance, text: str) -> str:
    """Wait until a line of the log contains `text`, while others in this process go on."""
    return await trio.to_thread.run_sync(instance.wait_for, text)


async def get_soon(port: int, path: str = "/") -> tuple[int, str]:
    return await trio.to_thread.run_sync(ask, port, path)


async def test_a_cold_start_waits_for_its_hosts(site: Site) -> None:
    """A33, A85: `/ready` says why it is not, `/init_dump` too."""
    async with open_name_server() as server, open_flock() as flock:
        await flock.rise(2)
        missing = site.directory / "other.yaml"
        clusters = [
            found(by_dns(server, f"app.test:{flock.port}", refresh="50ms")),
            found({"file": {"path": str(missing)}}, "other"),
        ]
        site.configure(proxying(), clusters=clusters)
        instance = site.start()
        await wait_for(instance, "cluster other: ")
        admin = instance.ports["admin"]
        status, said = await get_soon(admin, "/ready")
        assert status == 503
        assert said.splitlines() == [
            "INITIALIZING",
            "cluster app: it has no hosts",
            f"cluster other: {missing}: No such file or directory",
        ]
        dump = json.loads((await get_soon(admin, "/init_dump"))[1])
        assert dump["unready_targets_dumps"][0]["target_names"] == said.splitlines()[1:]

        missing.write_text("[127.0.0.1:1]")
        server.records = "app.test. 0 A 127.0.0.2"
        await wait_for(instance, "epoch 0: serving")
        assert await get_soon(admin, "/ready") == (200, "LIVE\n")
        assert await get_soon(admin, "/init_dump") == (200, "{}\n")
        assert await get_soon(instance.ports["web"]) == (200, "2")


def test_a_start_that_waits_can_be_called_off(site: Site) -> None:
    site.configure(web(), clusters=[found({"file": {"path": "missing.yaml"}})])
    instance = site.start()
    assert "missing.yaml: No such file" in instance.wait_for("waiting for cluster app: ")
    instance.signal(signal.SIGTERM)
    assert instance.wait_gone() == 0


async def test_a_child_that_does_not_find_its_hosts(site: Site) -> None:
    """A32: with discovery. The parent serves on, and nobody notices."""
    parent = await trio.to_thread.run_sync(site.serve)
    async with open_name_server() as server:
        server.failing = {"A"}
        clusters = [
            found(by_dns(server, "app.test:80", refresh="50ms")),
            found({"file": {"path": "missing.yaml"}}, "other"),
            found({"file": {"path": "missing.yaml"}}, "spare", required=False),
            {"name": "old", "endpoints": [{"address": "127.0.0.1:1", "health_status": "draining"}]},
        ]
        hot_restart = {"init_timeout": "1s"}
        site.configure(web("two"), clusters=clusters, hot_restart=hot_restart)
        with Visitor(parent.ports["web"]) as visitor:
            child = site.start(1)
            assert await trio.to_thread.run_sync(child.wait_gone) == 1
            visitor.wait_seen("one")
    last = child.log[-1]
    assert "not ready in 1 s: " in last
    assert "cluster app: DNS: app.test A: no server could answer; " in last
    assert "cluster other: " in last
    assert "missing.yaml: No such file or directory; " in last
    assert "cluster old: 0 of 1 hosts healthy, 1 needed: 127.0.0.1:1 (failed_eds_health)" in last
    assert "spare" not in last
    assert visitor.failures == []
    assert visitor.seen.keys() == {"one"}
    assert get(parent.ports["admin"], "/ready") == "LIVE\n"


@pytest.mark.parametrize(("healthy", "starts"), [(2, True), (1, False)])
def test_a_share_of_the_hosts_has_to_be_healthy(site: Site, healthy: int, *, starts: bool) -> None:
    statuses = ["healthy"] * healthy + ["unhealthy"] * (3 - healthy)
    endpoints = [
        {"address": f"127.0.0.1:{port}", "health_status": status}
        for port, status in enumerate(statuses, start=1)
    ]
    cluster = {"name": "app", "endpoints": endpoints, "min_healthy": "60%"}
    site.configure(web(), clusters=[cluster], hot_restart={"init_timeout": "300ms"})
    instance = site.start()
    if starts:
        instance.wait_serving()
    else:
        assert instance.wait_gone() == 1
        assert "cluster app: 1 of 3 hosts healthy, 2 needed: 127.0.0.1:2 (" in instance.log[-1]


@attrs.frozen
class Registry:
    """A way to list hosts: what to configure, and how to tell it who they are."""

    discovery: dict[str, object]
    tell: Callable[[list[int]], None]


@asynccontextmanager
async def dns_registry(flock: Flock, directory: Path) -> AsyncIterator[Registry]:
    async with open_name_server() as server:

        def tell(members: list[int]) -> None:
            server.records = "\n".join(f"app.test. 0 A 127.0.0.{n}" for n in members)

        yield Registry(by_dns(server, f"app.test:{flock.port}", refresh="20ms"), tell)


@asynccontextmanager
async def srv_registry(flock: Flock, directory: Path) -> AsyncIterator[Registry]:
    async with open_name_server() as server:

        def tell(members: list[int]) -> None:
            server.records = "\n".join(
                f"_app._tcp.test. 0 SRV 0 1 {flock.port} h{n}.test.\nh{n}.test. 0 A 127.0.0.{n}"
                for n in members
            )

        way = {"srv": "_app._tcp.test", "resolvers": [str(server.address)], "refresh": "20ms"}
        yield Registry({"strict_dns": way}, tell)


@asynccontextmanager
async def file_registry(flock: Flock, directory: Path) -> AsyncIterator[Registry]:
    path = directory / "app.yaml"

    def tell(members: list[int]) -> None:
        new = path.with_suffix(".new")
        new.write_text("".join(f"- {flock.name(n)}\n" for n in members) or "[]")
        os.replace(new, path)

    yield Registry({"file": {"path": str(path), "refresh": "20ms"}}, tell)


@asynccontextmanager
async def http_registry(flock: Flock, directory: Path) -> AsyncIterator[Registry]:
    listed: list[str] = []

    async def answer(stream: trio.SocketStream, head: str, body: bytes) -> None:
        said = json.dumps({"endpoints": listed})
        await stream.send_all(
            f"HTTP/1.1 200 OK\r\ncontent-length: {len(said)}\r\n\r\n{said}".encode()
        )

    def tell(members: list[int]) -> None:
        listed[:] = map(flock.name, members)

    async with open_upstream(answer) as port:
        yield Registry({"http": {"url": f"http://127.0.0.1:{port}/", "refresh": "20ms"}}, tell)


@pytest.mark.parametrize(
    "open_registry", [dns_registry, srv_registry, file_registry, http_registry]
)
async def test_hosts_come_and_go_under_load(
    site: Site, open_registry: Callable[[Flock, Path], AbstractAsyncContextManager[Registry]]
) -> None:
    """No client sees an error, whether a host leaves before it dies, or dies before it leaves."""
    async with open_flock() as flock, open_registry(flock, site.directory) as registry:
        await flock.rise(1, 2)
        registry.tell([1, 2])
        site.configure(proxying(), clusters=[found(registry.discovery)])
        instance = await trio.to_thread.run_sync(site.serve)
        async with open_crowd(instance.ports["web"]) as crowd:
            await crowd.sees(1, 2)
            await flock.rise(3)
            registry.tell([1, 2, 3])
            await crowd.sees(1, 2, 3)
            registry.tell([2, 3])
            await crowd.sees(2, 3)
            await flock.fall(1)
            await flock.fall(2)
            await crowd.sees(3)
            registry.tell([3])
            await flock.rise(1)
            registry.tell([3, 1])
            await crowd.sees(1, 3)
        assert crowd.failures == []


async def test_a_worker_that_replaces_another_knows_the_hosts(site: Site) -> None:
    async with open_flock() as flock, file_registry(flock, site.directory) as registry:
        await flock.rise(2)
        registry.tell([2])
        site.configure(proxying(), clusters=[found(registry.discovery)])
        instance = await trio.to_thread.run_sync(lambda: site.serve(workers=1))
        assert await get_soon(instance.ports["web"]) == (200, "2")
        os.kill(instance.workers[0], signal.SIGKILL)
        await wait_for(instance, "is ready")
        assert await get_soon(instance.ports["web"]) == (200, "2")


async def test_a_hot_restart_finds_its_hosts_before_it_takes_over(site: Site) -> None:
    """A21, A32: the child waits for an answer that is late, and the parent serves meanwhile."""
    async with open_flock() as flock, file_registry(flock, site.directory) as registry:
        await flock.rise(1, 2)
        registry.tell([1])
        site.configure(proxying(), clusters=[found(registry.discovery)])
        parent = await trio.to_thread.run_sync(site.serve)
        async with open_crowd(parent.ports["web"]) as crowd:
            await crowd.sees(1)
            later = site.directory / "later.yaml"
            site.configure(proxying(), clusters=[found({"file": {"path": str(later)}})])
            child = site.start(1)
            await wait_for(child, "No such file")
            await crowd.sees(1)
            later.write_text(f"[{flock.name(2)}]")
            await wait_for(child, "epoch 1: serving")
            await crowd.sees(2)
        assert crowd.failures == []
        assert await trio.to_thread.run_sync(parent.wait_gone) == 0


async def test_hosts_are_shown_with_their_figures(site: Site) -> None:
    """A85: `/clusters` over all workers, and what became of attempts to find hosts."""
    async with open_flock() as flock, file_registry(flock, site.directory) as registry:
        await flock.rise(2)
        registry.tell([2])
        site.configure(proxying(), clusters=[found(registry.discovery)])
        instance = await trio.to_thread.run_sync(site.serve)
        for _ in range(3):
            assert await get_soon(instance.ports["web"]) == (200, "2")
        lines = (await get_soon(instance.ports["admin"], "/clusters"))[1].splitlines()
        assert f"app::{flock.name(2)}::rq_success::3" in lines
        assert f"app::{flock.name(2)}::health_flags::healthy" in lines
        (site.directory / "app.yaml").write_text("[nonsense]")
        await wait_for(instance, "its hosts stay")
        lines = (await get_soon(instance.ports["admin"], "/clusters"))[1].splitlines()
        assert any("discovery_failure::" in line and "app.yaml:1:2: exp" in line for line in lines)
        assert f"app::{flock.name(2)}::rq_success::3" in lines
        stats = (await get_soon(instance.ports["admin"], "/stats"))[1].splitlines()
        assert {
            "cluster.app.membership_total: 1",
            "cluster.app.membership_healthy: 1",
            "cluster.app.membership_change: 1",
            "cluster.app.update_failure: 1",
            "cluster.app.update_success: 1",
        } <= set(stats)
