from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from name_server import NameServer, open_name_server

from trioproxy.clusters.by_dns import AT_ONCE, NOT_KNOWN, LogicalFinder, StrictFinder
from trioproxy.clusters.finding import DiscoveryFailed
from trioproxy.clusters.resolver import Answer, Resolver, Service
from trioproxy.config.discovery import LogicalDns, StrictDns
from trioproxy.upstream.member import Member

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with open_name_server() as server:
        yield server


@pytest.fixture
def resolver(server: NameServer) -> Resolver:
    return Resolver([server.address], timeout=2.0)


async def test_every_address_is_a_host(server: NameServer, resolver: Resolver) -> None:
    server.records = """
    app.test. 30 A 127.0.0.2
    app.test. 30 A 127.0.0.1
    app.test. 9 AAAA ::1
    """
    found = await StrictFinder(StrictDns("app.test:80", lookup_family="all"), resolver)()
    addresses = ["127.0.0.1:80", "127.0.0.2:80", "[::1]:80"]
    assert found.members == tuple(Member(each, hostname="app.test") for each in addresses)
    assert found.holds == 9


async def test_no_such_name_is_no_hosts(resolver: Resolver) -> None:
    found = await StrictFinder(StrictDns("app.test:80"), resolver)()
    assert (found.members, found.holds) == ((), None)


async def test_services_have_weights_and_priorities(server: NameServer, resolver: Resolver) -> None:
    server.records = """
    _app._tcp.test. 60 SRV 20 0 8082 b.test.
    _app._tcp.test. 60 SRV 10 5 8081 a.test.
    a.test. 7 A 127.0.0.2
    a.test. 7 A 127.0.0.1
    b.test. 30 A 127.0.0.3
    """
    found = await StrictFinder(StrictDns(srv="_app._tcp.test"), resolver)()
    assert found.members == (
        Member("127.0.0.1:8081", 5, "a.test", priority=0),
        Member("127.0.0.2:8081", 5, "a.test", priority=0),
        Member("127.0.0.3:8082", 1, "b.test", priority=1),
    )
    assert found.holds == 7


async def test_a_service_whose_target_cannot_be_told_is_a_failure(
    server: NameServer, resolver: Resolver
) -> None:
    server.records = "_app._tcp.test. 60 SRV 20 0 8082 a.test."
    find = StrictFinder(StrictDns(srv="_app._tcp.test"), resolver)
    assert (await find()).members == ()
    server.failing = {"A"}
    with pytest.raises(DiscoveryFailed, match="no server could answer"):
        await find()


async def test_a_target_that_cannot_be_told_keeps_its_hosts(
    server: NameServer, resolver: Resolver, caplog: pytest.LogCaptureFixture
) -> None:
    server.records = """
    _app._tcp.test. 60 SRV 1 1 80 a.test.
    _app._tcp.test. 60 SRV 1 1 80 b.test.
    a.test. 60 A 127.0.0.1
    b.test. 60 A 127.0.0.2
    """
    find = StrictFinder(StrictDns(srv="_app._tcp.test"), resolver)
    server.failing = {"a.test."}
    assert [each.address for each in (await find()).members] == ["127.0.0.2:80"]
    assert caplog.messages[-1].endswith("no server could answer; no hosts")
    server.failing = {"b.test."}
    for _ in range(2):
        found = await find()
        assert [each.address for each in found.members] == ["127.0.0.1:80", "127.0.0.2:80"]
        assert found.holds == NOT_KNOWN.holds
        assert caplog.messages[-1].endswith("no server could answer; its hosts stay")


class SlowResolver(Resolver):
    """Takes its time; notes how much others leave it, and how many ask at once."""

    def __init__(self, targets: int) -> None:
        super().__init__([], timeout=60.0)
        self.left: list[float] = []
        self.most = 0
        self._targets = targets
        self._asking = 0

    async def services(self, name: str, until: float = inf) -> tuple[list[Service], float]:
        await trio.sleep(3.0)
        return [Service(f"{n}.test.", 80, 0, 0) for n in range(self._targets)], 60.0

    async def addresses(self, name: str, families: str, until: float = inf) -> Answer:
        self.left.append(until - trio.current_time())
        self._asking += 1
        self.most = max(self.most, self._asking)
        await trio.sleep(1.0)
        self._asking -= 1
        return Answer(("127.0.0.1",))


async def test_the_timeout_is_for_all_questions(autojump_clock: trio.testing.MockClock) -> None:
    resolver = SlowResolver(1)
    await StrictFinder(StrictDns(srv="app.test", timeout=5.0), resolver)()
    await StrictFinder(StrictDns("app.test:80", timeout=5.0), resolver)()
    await LogicalFinder(LogicalDns("app.test:80", timeout=5.0), resolver)()
    assert resolver.left == [2.0, 5.0, 5.0]


async def test_not_all_targets_are_asked_for_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    resolver = SlowResolver(100)
    found = await StrictFinder(StrictDns(srv="app.test", timeout=60.0), resolver)()
    assert (len(found.members), resolver.most) == (100, AT_ONCE)


async def test_the_address_of_the_day(server: NameServer, resolver: Resolver) -> None:
    find = LogicalFinder(LogicalDns("app.test:80"), resolver)
    with pytest.raises(DiscoveryFailed, match=r"DNS: app\.test has no address"):
        await find()
    server.records = "app.test. 30 A 127.0.0.1"
    (host,) = (await find()).members
    server.records = "app.test. 30 A 127.0.0.2"
    (later,) = (await find()).members
    assert (host.address, later.address) == ("127.0.0.1:80", "127.0.0.2:80")
    assert host.key == later.key
