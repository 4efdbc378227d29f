"""Hosts that stand out by what workers counted; the workers' part is the test's."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import attrs
import pytest
import trio

from trioproxy.clusters.changes import Changes
from trioproxy.clusters.ejector import Ejector
from trioproxy.clusters.event_log import EventLog
from trioproxy.clusters.membership import Membership
from trioproxy.clusters.outliers import Outliers
from trioproxy.clusters.success_rates import Comparison
from trioproxy.clusters.tallies import Tallies
from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.outlier_detection import OutlierDetection
from trioproxy.stats.health import HostOutcomes
from trioproxy.upstream.member import FAILED_OUTLIER_CHECK, Member
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio.testing import MockClock

    from trioproxy.stats.reader import Reader
    from trioproxy.stats.region import Region
    from trioproxy.stats.writer import Writer

HOSTS = [f"127.0.0.1:{port}" for port in range(1, 7)]
A, *OTHERS = HOSTS
CONFIG = OutlierDetection(interval=10.0, max_ejection_percent=1.0)


class Workers:
    """Two workers that count what comes of requests."""

    def __init__(self, writers: list[Writer]) -> None:
        self._writers = writers
        self._known: dict[tuple[int, str], HostOutcomes] = {}

    def count(self, host: str, success: int, failure: int = 0, *, local: bool = False) -> None:
        """Count the successes in one worker, the failures in the other."""
        if local:
            self._outcomes(0, host).local_success.add(success)
            self._outcomes(1, host).local_failure.add(failure)
        else:
            self._outcomes(0, host).success.add(success)
            self._outcomes(1, host).failure.add(failure)

    def _outcomes(self, worker: int, host: str) -> HostOutcomes:
        known = (worker, host)
        if known not in self._known:
            self._known[known] = HostOutcomes(self._writers[worker], "app", host)
        return self._known[known]


@pytest.fixture
def workers(region: Region) -> Iterator[Workers]:
    with region.claim(0, 0) as one, region.claim(0, 1) as other:
        yield Workers([one, other])


@attrs.frozen
class Case:
    membership: Membership
    outliers: Outliers
    events: list[bytes]

    def ejected(self) -> list[str]:
        return [each.key for each in self.membership.members if FAILED_OUTLIER_CHECK in each.flags]


@pytest.fixture
async def case(
    writer: Writer,
    reader: Reader,
    nursery: trio.Nursery,
    request: pytest.FixtureRequest,
) -> Case:
    config: OutlierDetection = getattr(request, "param", CONFIG)
    endpoints = tuple(Endpoint(Address.parse(each)) for each in HOSTS)
    membership = Membership(Cluster("app", endpoints), writer, Changes())
    events = list[bytes]()
    log = EventLog("app", events.append, lambda: 0.0)
    ejector = Ejector(membership, config, writer, log, random.Random(1))
    outliers = Outliers(membership, config, ejector, Tallies(reader))
    nursery.start_soon(outliers.run)
    await trio.testing.wait_all_tasks_blocked()
    return Case(membership, outliers, events)


async def test_who_does_far_worse_than_others_is_ejected(
    autojump_clock: MockClock, case: Case, workers: Workers
) -> None:
    for host in OTHERS:
        workers.count(host, 100)
    workers.count(A, 50, 50)
    await trio.sleep(10.5)
    assert case.ejected() == [A]
    event = json.loads(case.events[0])
    assert event["type"] == "SUCCESS_RATE"
    assert event["eject_success_rate_event"] == {
        "host_success_rate": 50,
        "cluster_average_success_rate": 92,
        "cluster_success_rate_ejection_threshold": 56,
    }
    assert case.membership.success_rates.rates == {A: 50, **dict.fromkeys(OTHERS, 100)}


async def test_only_what_was_counted_within_the_interval_is_compared(
    autojump_clock: MockClock, case: Case, workers: Workers
) -> None:
    for host in HOSTS:
        workers.count(host, 100)
    await trio.sleep(10.5)
    workers.count(A, 0, 40)
    await trio.sleep(10)
    assert case.ejected() == []
    assert case.membership.success_rates == Comparison()


async def test_too_few_hosts_are_not_compared(
    autojump_clock: MockClock, case: Case, workers: Workers
) -> None:
    for host in OTHERS[:3]:
        workers.count(host, 100)
    workers.count(A, 10, 90)
    await trio.sleep(10.5)
    assert case.ejected() == []


@pytest.mark.parametrize(
    "case",
    [attrs.evolve(CONFIG, enforcing_failure_percentage=1.0, enforcing_success_rate=0.0)],
    indirect=True,
)
async def test_who_fails_too_often_is_ejected_however_others_do(
    autojump_clock: MockClock, case: Case, workers: Workers
) -> None:
    for host in OTHERS:
        workers.count(host, 10, 50)
    workers.count(A, 9, 51)
    await trio.sleep(10.5)
    assert case.ejected() == [A]
    event = json.loads(case.events[0])
    assert event["type"] == "FAILURE_PERCENTAGE"
    assert event["eject_failure_percentage_event"] == {"host_success_rate": 15}


async def test_what_is_of_local_origin_is_compared_on_its_own(
    autojump_clock: MockClock, case: Case, workers: Workers
) -> None:
    for host in HOSTS:
        workers.count(host, 100)
        workers.count(host, 100 if host != A else 60, 0 if host != A else 40, local=True)
    await trio.sleep(10.5)
    assert case.ejected() == [A]
    assert json.loads(case.events[0])["type"] == "SUCCESS_RATE_LOCAL_ORIGIN"
    assert case.membership.local_success_rates.rates[A] == 60


async def test_a_newcomer_is_not_judged_by_what_was_before(
    autojump_clock: MockClock, case: Case, workers: Workers
) -> None:
    """A host may come back under the same address: what it once did is over."""
    stranger = "127.0.0.1:99"
    for host in HOSTS:
        workers.count(host, 100)
    workers.count(stranger, 0, 100)
    case.membership.replace(Member(each) for each in [*HOSTS, stranger])
    await trio.sleep(10.5)
    assert case.ejected() == []


async def test_who_is_ejected_is_not_compared(
    autojump_clock: MockClock, case: Case, workers: Workers
) -> None:
    for host in OTHERS:
        workers.count(host, 100)
    workers.count(A, 50, 50)
    case.outliers.accuse(A, EjectionType.CONSECUTIVE_5XX)
    await trio.sleep(10.5)
    assert A not in case.membership.success_rates.rates
    assert len(case.events) == 1


async def test_it_ends_at_the_next_look(autojump_clock: MockClock, case: Case) -> None:
    case.outliers.accuse(A, EjectionType.CONSECUTIVE_5XX)
    assert case.ejected() == [A]
    await trio.sleep(30.5)
    assert case.ejected() == []
