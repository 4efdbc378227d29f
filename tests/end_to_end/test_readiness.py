"""Real processes that wait for the first verdict on their hosts before they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from flock import open_crowd, open_flock
from sites import Site, a_site, ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flock import Flock
    from instances import Instance

CHECK = {"http": {"path": "/healthz"}, "interval": "50ms", "timeout": "500ms"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        yield site


def configure(site: Site, flock: Flock, *members: int, **more: object) -> None:
    """Have generations to come serve these members, whose health they check."""
    hot_restart = {"init_timeout": "1s"} if more.pop("soon", False) else {}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]
    manager = {"http_connection_manager": {"stat_prefix": "web", "routes": routes}}
    listener = {"name": "web", "address": "127.0.0.1:0", "filters": [manager]}
    cluster = {"name": "app", "endpoints": [flock.name(number) for number in members]}
    cluster |= {"health_checks": [CHECK]} | more
    site.configure(listener, clusters=[cluster], hot_restart=hot_restart)


async def wait_for(instance: Instance, text: str) -> str:
    """Wait until a line of the log contains `text`, while others in this process go on."""
    return await trio.to_thread.run_sync(instance.wait_for, text)


async def get(port: int, path: str = "/") -> tuple[int, str]:
    return await trio.to_thread.run_sync(ask, port, path)


async def test_a_cold_start_waits_for_the_first_round(site: Site) -> None:
    """A33: the host that fails is named, and why."""
    async with open_flock() as flock:
        configure(site, flock, 1, 2)
        instance = site.start()
        await wait_for(instance, "admin listens on")
        said = ""
        with trio.fail_after(10):
            while "0 of 2 hosts healthy" not in said:
                status, said = await get(instance.ports["admin"], "/ready")
                assert status == 503
        assert f"{flock.name(1)} (" in said
        await flock.rise(2)
        await wait_for(instance, "epoch 0: serving")
        assert await get(instance.ports["admin"], "/ready") == (200, "LIVE\n")
        for _ in range(5):  # nobody is sent to the other one
            assert await get(instance.ports["web"]) == (200, "2")


async def test_a_child_whose_hosts_do_not_get_healthy(site: Site) -> None:
    """A32: with health checks. The parent serves on under load, and no request fails."""
    async with open_flock() as flock:
        await flock.rise(1)
        configure(site, flock, 1)
        parent = await trio.to_thread.run_sync(site.serve)
        async with open_crowd(parent.ports["web"]) as crowd:
            configure(site, flock, 2, 3, soon=True)
            child = site.start(1)
            assert await trio.to_thread.run_sync(child.wait_gone) == 1
            await crowd.sees(1)
        assert crowd.failures == []
        assert await get(parent.ports["admin"], "/ready") == (200, "LIVE\n")
    assert "not ready in 1 s: cluster app: 0 of 2 hosts healthy, 1 needed: " in child.log[-1]
    assert f"{flock.name(2)} (" in child.log[-1]
    assert f"{flock.name(3)} (" in child.log[-1]


@pytest.mark.parametrize(("share", "starts"), [("50%", True), ("60%", False)])
async def test_a_share_of_the_hosts_has_to_pass(site: Site, share: str, *, starts: bool) -> None:
    async with open_flock() as flock:
        await flock.rise(1)
        configure(site, flock, 1, 2, min_healthy=share, soon=True)
        instance = site.start()
        if starts:
            await wait_for(instance, "epoch 0: serving")
        else:
            assert await trio.to_thread.run_sync(instance.wait_gone) == 1
            assert "1 of 2 hosts healthy, 2 needed" in instance.log[-1]


async def test_a_cluster_that_is_not_required_is_not_waited_for(site: Site) -> None:
    async with open_flock() as flock:
        configure(site, flock, 1, required=False, soon=True)
        instance = await trio.to_thread.run_sync(site.serve)
        assert (await get(instance.ports["web"]))[0] == 503
        await flock.rise(1)
        with trio.fail_after(10):
            while await get(instance.ports["web"]) != (200, "1"):
                pass


async def test_the_first_request_of_a_new_generation_goes_to_a_healthy_host(site: Site) -> None:
    """A21: verdicts are with the workers before they accept; nothing is retried here."""
    async with open_flock() as flock:
        await flock.rise(1, 3)
        configure(site, flock, 1)
        await trio.to_thread.run_sync(site.serve)
        async with open_crowd(site.instances[0].ports["web"]) as crowd:
            await crowd.sees(1)
            for epoch in (1, 2):
                configure(site, flock, 1, 2, 3)
                child = site.start(epoch)
                await wait_for(child, f"epoch {epoch}: serving")
                await crowd.sees(1, 3)
        assert crowd.failures == []
