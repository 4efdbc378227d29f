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
from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.outlier_detection import OutlierDetection
from trioproxy.upstream.member import FAILED_OUTLIER_CHECK, Member
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trioproxy.stats.reader import Reader
    from trioproxy.stats.writer import Writer

HOSTS = [f"127.0.0.1:{port}" for port in range(1, 11)]
A, B, C = HOSTS[:3]
ERRORS = EjectionType.CONSECUTIVE_5XX
GATEWAY = EjectionType.CONSECUTIVE_GATEWAY_FAILURE
CONFIG = OutlierDetection(base_ejection_time=30.0, max_ejection_percent=0.2)


@attrs.frozen
class Case:
    """A cluster of ten hosts."""

    membership: Membership
    ejector: Ejector
    events: list[bytes]
    reader: Reader

    def ejected(self) -> list[str]:
        return [each.key for each in self.membership.members if FAILED_OUTLIER_CHECK in each.flags]

    def counted(self) -> dict[str, int]:
        snapshot, scope = self.reader.snapshot(), "cluster.app.outlier_detection.ejections_"
        found = {**snapshot.counters, **snapshot.gauges}.items()
        return {name.removeprefix(scope): n for name, n in found if n and name.startswith(scope)}

    def told(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.events]


Make = "Callable[..., Case]"


@pytest.fixture
async def make(writer: Writer, reader: Reader) -> Make:
    def of(config: OutlierDetection = CONFIG, hosts: list[str] = HOSTS) -> Case:
        endpoints = tuple(Endpoint(Address.parse(each)) for each in hosts)
        membership = Membership(Cluster("app", endpoints), writer, Changes())
        events = list[bytes]()
        log = EventLog("app", events.append, lambda: 0.0)
        ejector = Ejector(membership, config, writer, log, random.Random(1))
        return Case(membership, ejector, events, reader)

    return of


async def test_an_ejection_ends_when_it_has_lasted(autojump_clock: MockClock, make: Make) -> None:
    case = make()
    case.ejector.detected(A, ERRORS)
    assert case.ejected() == [A]
    assert case.membership.reasons(A) == {FAILED_OUTLIER_CHECK: "ejected: consecutive 5xx"}
    await trio.sleep(29)
    case.ejector.review()
    assert case.ejected() == [A]
    await trio.sleep(1)
    case.ejector.review()
    assert case.ejected() == []


async def test_one_ejection_at_a_time(autojump_clock: MockClock, make: Make) -> None:
    case = make()
    case.ejector.detected(A, ERRORS)
    case.ejector.detected(A, ERRORS)
    assert case.counted() == {
        "active": 1,
        "enforced_total": 1,
        "detected_consecutive_5xx": 1,
        "enforced_consecutive_5xx": 1,
    }


async def test_a_share_is_never_exceeded(autojump_clock: MockClock, make: Make) -> None:
    case = make()
    for host in HOSTS:
        case.ejector.detected(host, ERRORS)
    assert case.ejected() == [A, B]
    assert case.counted()["overflow"] == 8


async def test_one_host_may_be_more_than_its_share(autojump_clock: MockClock, make: Make) -> None:
    case = make(hosts=[A, B])
    case.ejector.detected(A, ERRORS)
    case.ejector.detected(B, ERRORS)
    assert case.ejected() == [A]
    strict = make(attrs.evolve(CONFIG, always_eject_one_host=False), hosts=[A, B])
    strict.ejector.detected(A, ERRORS)
    assert strict.ejected() == []


async def test_who_is_gone_counts_no_more(autojump_clock: MockClock, make: Make) -> None:
    case = make(hosts=[A, B])
    case.ejector.detected(A, ERRORS)
    case.membership.replace([Member(B), Member(C)])
    case.ejector.detected(A, ERRORS)
    case.ejector.detected(C, ERRORS)
    assert case.ejected() == [C]
    case.ejector.review()
    assert case.counted()["active"] == 1


async def test_who_leaves_and_returns_may_be_ejected_again(
    autojump_clock: MockClock, make: Make
) -> None:
    case = make(hosts=[A, B])
    case.ejector.detected(A, ERRORS)
    case.membership.replace([Member(B)])
    case.membership.replace([Member(A), Member(B)])
    assert case.ejected() == []
    case.ejector.review()
    assert case.counted().get("active", 0) == 0
    case.ejector.detected(A, ERRORS)
    assert case.ejected() == [A]
    await trio.sleep(31)
    case.ejector.review()
    assert case.ejected() == []


async def test_who_returns_takes_nobody_elses_place(autojump_clock: MockClock, make: Make) -> None:
    case = make(hosts=[A, B])
    case.ejector.detected(A, ERRORS)
    case.membership.replace([Member(B)])
    case.membership.replace([Member(A), Member(B)])
    case.ejector.detected(B, ERRORS)
    assert case.ejected() == [B]


async def test_nothing_is_forgiven_while_it_lasts(autojump_clock: MockClock, make: Make) -> None:
    case = make()
    for length in (30, 60):
        case.ejector.detected(A, ERRORS)
        await trio.sleep(length - 1)
        case.ejector.review()
        assert case.ejected() == [A]
        await trio.sleep(1)
        case.ejector.review()
        assert case.ejected() == []


async def test_not_every_kind_is_enforced(autojump_clock: MockClock, make: Make) -> None:
    case = make()
    case.ejector.detected(A, GATEWAY)
    assert case.ejected() == []
    assert case.counted() == {"detected_consecutive_gateway_failure": 1}
    assert case.told()[0]["enforced"] is False


async def test_a_share_of_a_kind_may_be_enforced(autojump_clock: MockClock, make: Make) -> None:
    many = [f"127.0.0.1:{port}" for port in range(1, 1001)]
    half = attrs.evolve(CONFIG, enforcing_consecutive_5xx=0.5, max_ejection_percent=1.0)
    case = make(half, hosts=many)
    for host in many:
        case.ejector.detected(host, ERRORS)
    assert 400 < case.counted()["enforced_consecutive_5xx"] < 600


@pytest.mark.parametrize("lets_in", [True, False])
async def test_a_check_that_is_passed_may_end_it(
    autojump_clock: MockClock, make: Make, lets_in: bool
) -> None:
    case = make(attrs.evolve(CONFIG, successful_active_health_check_uneject_host=lets_in))
    case.ejector.passed(A)
    case.ejector.detected(A, ERRORS)
    case.ejector.passed(A)
    assert case.ejected() == ([] if lets_in else [A])


async def test_what_the_event_log_says(autojump_clock: MockClock, make: Make) -> None:
    case = make()
    case.ejector.detected(A, ERRORS, eject_consecutive_event={})
    await trio.sleep(40)
    case.ejector.review()
    about = {
        "timestamp": "1970-01-01T00:00:00.000Z",
        "cluster_name": "app",
        "upstream_url": A,
        "num_ejections": 1,
    }
    assert case.told() == [
        {
            **about,
            "action": "EJECT",
            "secs_since_last_action": -1,
            "type": "CONSECUTIVE_5XX",
            "enforced": True,
            "eject_consecutive_event": {},
        },
        {**about, "action": "UNEJECT", "secs_since_last_action": 40},
    ]
