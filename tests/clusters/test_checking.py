"""Checking the members of a cluster, on the virtual clock; what they answer is up to the test."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import attrs
import pytest
import trio

from trioproxy.clusters.changes import Changes
from trioproxy.clusters.checking import Checking
from trioproxy.clusters.event_log import EventLog
from trioproxy.clusters.findings import Findings
from trioproxy.clusters.manager import BEGIN_AGAIN, look_after
from trioproxy.clusters.membership import Membership
from trioproxy.clusters.probe import CheckFailed, Failure, HungUp
from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.health_check import ActiveHealthCheck, HttpCheck
from trioproxy.upstream.member import FAILED_ACTIVE_HC, PENDING_ACTIVE_HC, Member

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trioproxy.stats.reader import Reader
    from trioproxy.stats.writer import Writer

A, B, C = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"
CHECK = ActiveHealthCheck(http=HttpCheck("/"), interval=10.0, interval_jitter_percent=0.0)
ILL = CheckFailed(Failure.ACTIVE, "status 500", decisive=True)


class Hosts:
    """Answers probes: well unless it is among `ill`; `checked` says who was probed when."""

    def __init__(self) -> None:
        self.ill: dict[str, Exception] = {}
        self.checked: list[tuple[str, float]] = []
        self.open: set[str] = set()
        self.traffic = True
        self.passed: list[str] = []

    def probe(self, member: Member) -> Probe:
        self.open.add(member.address)
        return Probe(self, member.address)

    def times(self, address: str) -> list[float]:
        return [time for checked, time in self.checked if checked == address]


@attrs.frozen
class Probe:
    hosts: Hosts
    address: str

    async def check(self) -> None:
        self.hosts.checked.append((self.address, trio.current_time()))
        await trio.lowlevel.checkpoint()
        if self.address in self.hosts.ill:
            raise self.hosts.ill[self.address]

    def close(self) -> None:
        self.hosts.open.remove(self.address)


@attrs.frozen
class Case:
    """A cluster that is checked."""

    membership: Membership
    hosts: Hosts
    checking: Checking
    events: list[bytes]

    def flags(self, address: str) -> set[str]:
        return {
            flag for each in self.membership.members for flag in each.flags if each.key == address
        }

    def told(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.events]


Begin = "Callable[..., Case]"


@pytest.fixture
async def begin(writer: Writer, nursery: trio.Nursery) -> Begin:
    """Return what begins to check hosts at these addresses."""

    def start(*addresses: str, check: ActiveHealthCheck = CHECK) -> Case:
        endpoints = tuple(Endpoint(Address.parse(each)) for each in addresses)
        cluster = Cluster("app", endpoints, health_checks=(check,))
        membership = Membership(cluster, writer, Changes(), checked=True)
        hosts, events = Hosts(), list[bytes]()
        findings = Findings(membership, check, writer, EventLog("app", events.append, lambda: 0.0))
        checking = Checking(
            membership,
            check,
            findings,
            hosts.probe,  # type: ignore[arg-type]
            random.Random(1),
            lambda: hosts.traffic,
            hosts.passed.append,
        )
        nursery.start_soon(look_after, membership, checking.run)
        return Case(membership, hosts, checking, events)

    return start


async def test_one_look_decides_in_the_first_round(autojump_clock: MockClock, begin: Begin) -> None:
    case = begin(A, B)
    case.hosts.ill[B] = HungUp()
    assert case.flags(A) == case.flags(B) == {FAILED_ACTIVE_HC, PENDING_ACTIVE_HC}
    await trio.sleep(1)
    assert case.flags(A) == set()
    assert case.flags(B) == {FAILED_ACTIVE_HC}
    assert case.membership.reasons(B) == {FAILED_ACTIVE_HC: "closed before it answered"}


async def test_each_host_is_checked_once_in_an_interval(
    autojump_clock: MockClock, begin: Begin
) -> None:
    case = begin(A, B)
    await trio.sleep(35)
    assert case.hosts.times(A) == case.hosts.times(B) == [0, 10, 20, 30]
    assert case.hosts.passed.count(A) == 4


async def test_what_fails_at_checking_is_logged_and_begun_anew(
    autojump_clock: MockClock, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    case = begin(A, B)
    await trio.sleep(5)
    case.hosts.ill[A] = OSError("too many open files")
    await trio.sleep(6)
    assert case.hosts.times(B) == [0, 10]
    assert case.hosts.open == set()
    del case.hosts.ill[A]
    await trio.sleep(BEGIN_AGAIN)
    assert case.hosts.times(A) == case.hosts.times(B) == [0, 10, 10 + BEGIN_AGAIN]
    (record,) = caplog.records
    assert record.message == f"cluster app is not looked after for {BEGIN_AGAIN:g} s"
    assert record.exc_info


async def test_the_first_round_may_be_spread(autojump_clock: MockClock, begin: Begin) -> None:
    addresses = [f"127.0.0.1:{port}" for port in range(1, 101)]
    case = begin(*addresses, check=attrs.evolve(CHECK, initial_jitter=5.0))
    await trio.sleep(6)
    first = [case.hosts.times(each)[0] for each in addresses]
    assert 0 <= min(first) < 0.5
    assert 4.5 < max(first) <= 5


async def test_without_traffic_it_waits_longer(autojump_clock: MockClock, begin: Begin) -> None:
    case = begin(A)
    case.hosts.traffic = False
    await trio.sleep(65)
    case.hosts.traffic = True
    await trio.sleep(70)
    assert case.hosts.times(A) == [0, 60, 120, 130]


async def test_who_is_missing_is_looked_for_without_traffic(
    autojump_clock: MockClock, begin: Begin
) -> None:
    """The start may be waiting for it."""
    case = begin(A, B)
    case.hosts.traffic = False
    case.hosts.ill = {A: ILL, B: ILL}
    await trio.sleep(25)
    assert case.hosts.times(A) == case.hosts.times(B) == [0, 10, 20]
    del case.hosts.ill[A]
    await trio.sleep(100)
    assert case.hosts.times(A) == [0, 10, 20, 30, 40, 100]  # passed twice, and one is enough


async def test_health_changes_at_the_thresholds(autojump_clock: MockClock, begin: Begin) -> None:
    case = begin(A)
    await trio.sleep(5)
    case.hosts.ill[A] = CheckFailed(Failure.NETWORK_TIMEOUT, "no answer in 1 s")
    await trio.sleep(20)
    assert case.flags(A) == set()
    await trio.sleep(10)
    assert case.flags(A) == {FAILED_ACTIVE_HC}
    case.hosts.ill[A] = ILL
    await trio.sleep(10)
    assert case.membership.reasons(A) == {FAILED_ACTIVE_HC: "status 500"}
    del case.hosts.ill[A]
    await trio.sleep(10)
    assert case.flags(A) == {FAILED_ACTIVE_HC}
    await trio.sleep(10)
    assert case.flags(A) == set()


async def test_what_it_counts(autojump_clock: MockClock, begin: Begin, reader: Reader) -> None:
    case = begin(A, B)
    case.hosts.ill[B] = ILL
    await trio.sleep(15)
    case.hosts.ill[B] = HungUp()
    await trio.sleep(10)
    snapshot = reader.snapshot()
    counted = {**snapshot.counters, **snapshot.gauges}
    scope = "cluster.app.health_check."
    assert {name: value for name, value in counted.items() if name.startswith(scope)} == {
        f"{scope}attempt": 6,
        f"{scope}success": 3,
        f"{scope}failure": 3,
        f"{scope}network_failure": 1,
        f"{scope}healthy": 1,
    }


async def test_who_comes_and_goes(autojump_clock: MockClock, begin: Begin, reader: Reader) -> None:
    case = begin(A, B)
    await trio.sleep(5)
    case.membership.replace([Member(B), Member(C)])
    await trio.sleep(1)
    assert case.hosts.open == {B, C}
    assert case.flags(C) == set()
    assert reader.snapshot().gauges["cluster.app.health_check.healthy"] == 2
    await trio.sleep(30)
    assert case.hosts.times(A) == [0]
    assert case.hosts.times(B) == [0, 10, 20, 30]
    assert case.hosts.times(C) == [5, 15, 25, 35]


async def test_a_logical_host_is_checked_where_it_is_now(
    autojump_clock: MockClock, begin: Begin
) -> None:
    case = begin(A)
    case.membership.replace([Member(A, logical="db")])
    await trio.sleep(5)
    assert case.flags("db") == set()
    case.hosts.ill[B] = ILL
    case.membership.replace([Member(B, logical="db")])
    await trio.sleep(1)
    assert case.hosts.open == {B}
    assert case.flags("db") == {FAILED_ACTIVE_HC}


async def test_what_the_event_log_says(autojump_clock: MockClock, begin: Begin) -> None:
    case = begin(A, B)
    case.hosts.ill[B] = HungUp()
    await trio.sleep(1)
    case.hosts.ill[A] = ILL
    await trio.sleep(10)
    about = {"timestamp": "1970-01-01T00:00:00.000Z", "cluster_name": "app"}
    of_a, of_b = (
        {
            **about,
            "health_checker_type": "HTTP",
            "host": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        }
        for port in (1, 2)
    )
    assert sorted(case.told(), key=str) == sorted(
        [
            {**of_a, "add_healthy_event": {"first_check": True}},
            {
                **of_b,
                "health_check_failure_event": {"failure_type": "NETWORK", "first_check": True},
            },
            {**of_a, "eject_unhealthy_event": {"failure_type": "ACTIVE"}},
        ],
        key=str,
    )


async def test_the_event_log_may_tell_of_every_check(
    autojump_clock: MockClock, begin: Begin
) -> None:
    talkative = attrs.evolve(
        CHECK, always_log_health_check_success=True, always_log_health_check_failures=True
    )
    case = begin(A, B, check=talkative)
    case.hosts.ill[B] = HungUp()
    await trio.sleep(15)
    events = [
        set(each) - {"timestamp", "cluster_name", "health_checker_type", "host"}
        for each in case.told()
    ]
    found = [event for each in events for event in each]
    assert found.count("successful_health_check_event") == 2
    assert found.count("health_check_failure_event") == 2
