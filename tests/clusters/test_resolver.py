from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from name_server import NameServer, open_name_server

from trioproxy.clusters import hosts_file
from trioproxy.clusters.finding import DiscoveryFailed
from trioproxy.clusters.resolver import Resolver, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

BOTH = """
app.test. 30 A 127.0.0.2
app.test. 30 A 127.0.0.1
app.test. 60 AAAA ::1
six.test. 60 AAAA ::1
www.test. 5 CNAME app.test.
"""


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with open_name_server(BOTH) as server:
        yield server


@pytest.fixture
def resolver(server: NameServer) -> Resolver:
    return Resolver([server.address], timeout=2.0)


@pytest.mark.parametrize(
    ("name", "families", "found"),
    [
        ("app.test", "v4_only", {"127.0.0.1", "127.0.0.2"}),
        ("app.test", "v6_only", {"::1"}),
        ("app.test", "v4_preferred", {"127.0.0.1", "127.0.0.2"}),
        ("app.test", "auto", {"::1"}),
        ("app.test", "all", {"127.0.0.1", "127.0.0.2", "::1"}),
        ("six.test", "v4_preferred", {"::1"}),
        ("six.test", "v4_only", set()),
        ("missing.test", "all", set()),
    ],
)
async def test_addresses_by_family(
    resolver: Resolver, name: str, families: str, found: set[str]
) -> None:
    assert set((await resolver.addresses(name, families)).addresses) == found


async def test_an_answer_holds_as_long_as_its_shortest_record(resolver: Resolver) -> None:
    assert (await resolver.addresses("app.test", "v4_only")).holds == 30
    assert (await resolver.addresses("app.test", "all")).holds == 30
    assert (await resolver.addresses("six.test", "v6_only")).holds == 60


async def test_more_than_fits_a_datagram_comes_by_tcp(
    server: NameServer, resolver: Resolver
) -> None:
    server.records = "\n".join(f"app.test. 30 A 10.0.{n // 250}.{n % 250 + 1}" for n in range(600))
    assert len((await resolver.addresses("app.test", "v4_only")).addresses) == 600
    assert server.asked_by_tcp


async def test_services(server: NameServer, resolver: Resolver) -> None:
    server.records = "_http._tcp.app.test. 15 SRV 10 5 8080 a.test."
    services, holds = await resolver.services("_http._tcp.app.test")
    assert services == [Service("a.test.", 8080, priority=10, weight=5)]
    assert holds == 15
    assert await resolver.services("_ftp._tcp.app.test") == ([], float("inf"))


@pytest.mark.parametrize(
    ("mood", "reason"), [("SERVFAIL", "no server could answer"), ("deaf", "no answer in time")]
)
async def test_where_nobody_can_tell(server: NameServer, mood: str, reason: str) -> None:
    server.mood = mood
    resolver = Resolver([server.address], timeout=0.2)
    with pytest.raises(DiscoveryFailed, match=f"DNS: app.test A: {reason}"):
        await resolver.addresses("app.test", "v4_only")


async def test_no_time_is_left_for_a_question(server: NameServer, resolver: Resolver) -> None:
    with pytest.raises(DiscoveryFailed, match=r"DNS: app\.test A: no answer in time"):
        await resolver.addresses("app.test", "all", until=trio.current_time())
    with pytest.raises(DiscoveryFailed, match=r"DNS: app\.test SRV: no answer in time"):
        await resolver.services("app.test", until=trio.current_time() - 1)
    assert server.asked == []


async def test_a_name_that_cannot_be_asked_for(resolver: Resolver) -> None:
    with pytest.raises(DiscoveryFailed, match=r"DNS: a{70}\.test A: "):
        await resolver.addresses(f"{'a' * 70}.test", "v4_only")


async def test_the_hosts_file_comes_before_the_servers_of_the_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "hosts"
    path.write_text(
        "# mine\n127.0.0.9 App.test other # both\n"
        "::9 app.test\nfe80::1%lo app.test\nnonsense app.test\n"
    )
    assert hosts_file.listed("app.test.", path) == ["127.0.0.9", "::9"]
    assert hosts_file.listed("both", path) == []
    assert hosts_file.listed("app.test", tmp_path / "missing") == []
    monkeypatch.setattr(hosts_file, "HOSTS", path)
    answer = await Resolver([], timeout=1.0).addresses("app.test", "v6_only")
    assert answer.addresses == ("::9",)
