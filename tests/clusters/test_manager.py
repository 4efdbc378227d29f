from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from trioproxy.clusters.manager import ClusterManager
from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.health_check import ActiveHealthCheck, TcpCheck
from trioproxy.upstream.member import FAILED_ACTIVE_HC, PENDING_ACTIVE_HC, Member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioproxy.clusters.watch import WatchTools

NEVER = ActiveHealthCheck(tcp=TcpCheck(), initial_jitter=1e9)
A, B = "127.0.0.1:1", "127.0.0.1:2"


class Workers:
    """What the workers were told; `told` is by cluster, the last one last."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Sequence[Member]]] = []
        self.listening = trio.Event()
        self.listening.set()
        self.deaf = 0  # times that one of them does not hear

    async def tell(self, cluster: str, hosts: Sequence[Member]) -> bool:
        await self.listening.wait()
        self.told.append((cluster, hosts))
        self.deaf -= 1
        return self.deaf < 0


@pytest.fixture
def workers() -> Workers:
    return Workers()


async def test_workers_know_what_is_configured(
    workers: Workers, tools: WatchTools, nursery: trio.Nursery
) -> None:
    manager = ClusterManager([static("app", A)], workers.tell, tools, {})
    nursery.start_soon(manager.run)
    await manager.wait_ready()
    await trio.testing.wait_all_tasks_blocked()
    assert workers.told == []


async def test_workers_are_told_what_changes(
    workers: Workers, tools: WatchTools, nursery: trio.Nursery
) -> None:
    manager = ClusterManager([static("app", A, B), static("db", A)], workers.tell, tools, {})
    nursery.start_soon(manager.run)
    manager.memberships["app"].mark(A, FAILED_ACTIVE_HC, "timeout")
    await trio.testing.wait_all_tasks_blocked()
    ill = Member(A, flags=(FAILED_ACTIVE_HC,))
    assert workers.told == [("app", (ill, Member(B)))]


async def test_workers_keep_who_left_until_a_newcomer_has_been_checked(
    workers: Workers, tools: WatchTools, nursery: trio.Nursery
) -> None:
    checked = attrs.evolve(static("app", A), health_checks=(NEVER,))
    manager = ClusterManager([checked], workers.tell, tools, {"app": [A]})
    nursery.start_soon(manager.run)
    membership = manager.memberships["app"]
    membership.clear(A, PENDING_ACTIVE_HC)
    membership.replace([Member(B)])
    await trio.testing.wait_all_tasks_blocked()
    assert [(each.address, each.healthy) for each in workers.told[-1][1]] == [(B, False), (A, True)]


async def test_while_workers_do_not_listen_only_the_last_news_waits(
    workers: Workers, tools: WatchTools, nursery: trio.Nursery
) -> None:
    workers.listening = trio.Event()
    manager = ClusterManager([static("app", A)], workers.tell, tools, {})
    nursery.start_soon(manager.run)
    for port in range(2, 6):
        manager.memberships["app"].replace([Member(f"127.0.0.1:{port}")])
        await trio.testing.wait_all_tasks_blocked()
    assert manager.unready() == {"app": "the workers do not know its hosts yet"}
    workers.listening.set()
    await manager.wait_ready()
    assert [hosts[0].address for _, hosts in workers.told] == ["127.0.0.1:2", "127.0.0.1:5"]


async def test_many_verdicts_are_told_in_a_few(
    workers: Workers,
    tools: WatchTools,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    hosts = [f"127.0.0.1:{port}" for port in range(1, 101)]
    manager = ClusterManager([static("app", *hosts)], workers.tell, tools, {})
    nursery.start_soon(manager.run)
    for host in hosts:
        manager.memberships["app"].mark(host, FAILED_ACTIVE_HC, "timeout")
        await trio.sleep(0.001)
    await trio.sleep(1.0)
    assert len(workers.told) < 10
    assert not any(each.healthy for each in workers.told[-1][1])


async def test_who_is_too_busy_is_told_again(
    workers: Workers,
    tools: WatchTools,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    manager = ClusterManager([static("app", A)], workers.tell, tools, {})
    nursery.start_soon(manager.run)
    workers.deaf = 2
    manager.memberships["app"].replace([Member(B)])
    assert manager.unready()
    await manager.wait_ready()
    assert workers.told == 3 * [("app", (Member(B),))]


async def test_what_a_next_generation_may_begin_with(
    workers: Workers, tools: WatchTools, nursery: trio.Nursery
) -> None:
    checked = attrs.evolve(static("app", A, B), health_checks=(NEVER,))
    manager = ClusterManager([checked, static("db", A)], workers.tell, tools, {})
    assert manager.healthy() == {"app": ()}
    for flag in (FAILED_ACTIVE_HC, PENDING_ACTIVE_HC):
        manager.memberships["app"].clear(A, flag)
    manager.memberships["app"].clear(B, PENDING_ACTIVE_HC)
    assert manager.healthy() == {"app": (A,)}
    child = ClusterManager([checked], workers.tell, tools, manager.healthy())
    assert [each.healthy for each in child.memberships["app"].members] == [True, False]
    assert child.unready()  # all the same


def static(name: str, *addresses: str) -> Cluster:
    return Cluster(name, tuple(Endpoint(Address.parse(each)) for each in addresses))
