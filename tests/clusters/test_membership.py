from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs
import pytest

from trioproxy.clusters.changes import Changes
from trioproxy.clusters.membership import FLAGS_ROOM, Membership
from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.discovery import Discovery, StrictDns
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.outlier_detection import OutlierDetection
from trioproxy.restart.wire import encode
from trioproxy.server.messages import SetHosts
from trioproxy.upstream.member import (
    FAILED_ACTIVE_HC,
    FAILED_EDS_HEALTH,
    FAILED_OUTLIER_CHECK,
    PENDING_ACTIVE_HC,
    PENDING_DYNAMIC_REMOVAL,
    Member,
    pack,
)

if TYPE_CHECKING:
    from trioproxy.stats.reader import Reader
    from trioproxy.stats.writer import Writer

A, B, C = (f"127.0.0.1:{port}" for port in (1, 2, 3))

DISCOVERED = Cluster("app", discovery=Discovery(strict_dns=StrictDns("app.internal:80")))


@pytest.fixture
def membership(writer: Writer) -> Membership:
    return Membership(DISCOVERED, writer, Changes())


@pytest.fixture
def checked(writer: Writer) -> Membership:
    return Membership(DISCOVERED, writer, Changes(), checked=True)


def addresses(membership: Membership) -> list[str]:
    return [each.address for each in membership.members]


def members(*addresses: str) -> list[Member]:
    return [Member(address) for address in addresses]


def test_what_is_configured_is_known_at_once(writer: Writer) -> None:
    endpoints = (Endpoint(Address.parse(A), weight=3, metadata={"stage": "canary"}),)
    membership = Membership(Cluster("app", endpoints), writer, Changes())
    assert membership.discovered
    assert membership.members == (Member(A, 3, metadata={"stage": "canary"}),)


def test_hosts_are_listed_once_and_in_their_order(membership: Membership) -> None:
    assert not membership.discovered
    membership.replace([Member(B, 2), Member(A), Member(B, 9)])
    assert membership.discovered
    assert membership.members == (Member(B, 2), Member(A))


def test_flags_are_kept_as_long_as_their_host(membership: Membership) -> None:
    membership.replace(members(A, B))
    membership.mark(A, FAILED_OUTLIER_CHECK, "5 consecutive 5xx")
    membership.replace(members(C, A))
    assert membership.members == (Member(C), Member(A, flags=(FAILED_OUTLIER_CHECK,)))
    assert membership.reasons(A) == {FAILED_OUTLIER_CHECK: "5 consecutive 5xx"}
    membership.replace(members(C))
    membership.mark(A, FAILED_OUTLIER_CHECK, "too late")
    membership.replace(members(A))
    assert membership.members == (Member(A),)


def test_a_flag_of_the_list_and_one_of_ours_stand_side_by_side(membership: Membership) -> None:
    membership.replace([Member(A, flags=(FAILED_EDS_HEALTH,))])
    membership.mark(A, FAILED_ACTIVE_HC, "timeout")
    assert membership.members[0].flags == (FAILED_ACTIVE_HC, FAILED_EDS_HEALTH)
    membership.clear(A, FAILED_ACTIVE_HC)
    assert membership.members[0].flags == (FAILED_EDS_HEALTH,)
    assert not membership.members[0].healthy


def test_where_health_is_checked_newcomers_wait_for_it(checked: Membership) -> None:
    checked.replace(members(A))
    assert checked.members[0].flags == (FAILED_ACTIVE_HC, PENDING_ACTIVE_HC)
    checked.clear(A, PENDING_ACTIVE_HC)
    checked.clear(A, FAILED_ACTIVE_HC)
    checked.replace(members(A, B))
    assert [each.healthy for each in checked.members] == [True, False]


def test_who_left_stands_in_until_a_newcomer_is_known_to_be_well(checked: Membership) -> None:
    checked.replace(members(A))
    assert checked.told == checked.members
    find_well(checked, A)
    checked.replace(members(B, C))
    assert checked.told == (*checked.members, Member(A))
    assert addresses(checked) == [B, C]
    find_ill(checked, B)
    assert checked.told == (*checked.members, Member(A))
    find_well(checked, C)
    assert checked.told == checked.members


def test_who_left_does_not_stand_in_for_who_is_ill(checked: Membership) -> None:
    checked.replace(members(A))
    find_well(checked, A)
    checked.replace(members(B))
    checked.replace(members(C))
    assert checked.told == (*checked.members, Member(A)), "of several that left, who was well"
    find_ill(checked, C)
    assert checked.told == checked.members


def test_nobody_stands_in_beside_who_is_well(checked: Membership) -> None:
    checked.replace(members(A, B))
    find_well(checked, A)
    find_well(checked, B)
    checked.replace(members(B, C))
    assert checked.told == checked.members
    checked.replace([])
    assert checked.told == ()


def test_who_is_not_checked_needs_nobody_to_stand_in(membership: Membership) -> None:
    membership.replace(members(A))
    membership.replace([Member(B, flags=(FAILED_EDS_HEALTH,))])
    assert membership.told == membership.members


def test_stand_ins_make_no_list_too_long(
    checked: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioproxy.clusters.membership.LARGEST_LIST", 100)
    checked.replace(members(A))
    find_well(checked, A)
    checked.replace(members(B, C))
    assert checked.told == checked.members


def find_well(membership: Membership, key: str) -> None:
    membership.clear(key, FAILED_ACTIVE_HC)
    membership.clear(key, PENDING_ACTIVE_HC)


def find_ill(membership: Membership, key: str) -> None:
    membership.mark(key, FAILED_ACTIVE_HC, "timeout")
    membership.clear(key, PENDING_ACTIVE_HC)


def test_only_what_makes_a_difference_is_a_change(membership: Membership, reader: Reader) -> None:
    membership.replace(members(A))
    membership.mark(A, FAILED_ACTIVE_HC, "timeout")
    changes, listed = membership.changes.count, membership.listed.count
    membership.replace(members(A))
    membership.mark(A, FAILED_ACTIVE_HC, "timeout")
    membership.clear(A, FAILED_OUTLIER_CHECK)
    membership.clear(B, FAILED_ACTIVE_HC)
    assert (membership.changes.count, membership.listed.count) == (changes, listed)
    assert reader.snapshot().counters["cluster.app.update_no_rebuild"] == 1


def test_health_is_no_matter_of_who_is_listed(membership: Membership) -> None:
    membership.replace(members(A))
    listed = membership.listed.count
    membership.mark(A, FAILED_ACTIVE_HC, "timeout")
    assert membership.listed.count == listed


def test_what_could_not_be_found_again_stays(
    membership: Membership, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    membership.fail("no such name")
    assert not membership.discovered
    membership.replace(members(A, B))
    membership.fail("timeout")
    membership.fail("timeout")
    assert addresses(membership) == [A, B]
    assert membership.failure == "timeout"
    membership.replace(members(A, B))
    assert membership.failure == ""
    assert caplog.messages == [
        "cluster app: no such name; it has no hosts yet",
        "cluster app: discovery works again",
        f"cluster app: hosts: 2; came: {A}, {B}",
        "cluster app: timeout; its hosts stay",
        "cluster app: discovery works again",
    ]


def test_a_list_that_cannot_be_told_to_the_workers_changes_nothing(
    membership: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    membership.replace(members(A))
    monkeypatch.setattr("trioproxy.clusters.membership.LARGEST_LIST", 100)
    membership.replace(members(*(f"10.0.0.{n}:80" for n in range(12))))
    assert addresses(membership) == [A]
    assert membership.failure.startswith("a list of 12 hosts in 3")
    membership.replace(members(A, B))
    assert (addresses(membership), membership.failure) == ([A, B], "")


def test_a_list_has_room_for_all_flags_that_may_be_raised(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioproxy.clusters.membership.LARGEST_LIST", 120)
    watched = attrs.evolve(DISCOVERED, outlier_detection=OutlierDetection())
    listed = Membership(DISCOVERED, writer, Changes()), Membership(watched, writer, Changes())
    for membership in listed:
        membership.replace(members(A, B))
    assert [len(each.members) for each in listed] == [2, 0]
    assert listed[1].failure.startswith("a list of 2 hosts in 35")


def test_how_much_room_flags_take() -> None:
    raised = (FAILED_ACTIVE_HC, FAILED_OUTLIER_CHECK, PENDING_ACTIVE_HC, FAILED_EDS_HEALTH)
    plain, flagged = (encode(SetHosts("", pack([Member(A, flags=f)]))) for f in ((), raised))
    assert FLAGS_ROOM // 2 < len(flagged) - len(plain) <= FLAGS_ROOM


def test_more_hosts_may_not_be_configured_than_can_be_told(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioproxy.clusters.membership.LARGEST_LIST", 30)
    endpoints = tuple(Endpoint(Address.parse(each)) for each in (A, B))
    with pytest.raises(ValueError, match="cluster app: a list of 2 hosts in 5"):
        Membership(Cluster("app", endpoints), writer, Changes())


def test_who_left_is_remembered_for_a_while(
    membership: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioproxy.clusters.membership.MOST_DEPARTED", 2)
    membership.replace([Member(A, flags=(FAILED_EDS_HEALTH,)), Member(B)])
    membership.replace(members(B))
    assert membership.departed == (Member(A, flags=(PENDING_DYNAMIC_REMOVAL,)),)
    membership.replace(members(C))
    assert [each.address for each in membership.departed] == [A, B]
    membership.replace(members(A))
    assert [each.address for each in membership.departed] == [B, C]
    membership.replace([])
    assert [each.address for each in membership.departed] == [C, A]


def test_who_comes_and_goes_is_a_line_of_the_log(
    membership: Membership, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    membership.replace(members(A, B))
    membership.replace([Member(B, 2), Member(C)])
    membership.replace(members(*(f"10.0.0.{n}:80" for n in range(12))))
    listed = ", ".join(f"10.0.0.{n}:80" for n in range(10))
    assert caplog.messages == [
        f"cluster app: hosts: 2; came: {A}, {B}",
        f"cluster app: hosts: 2; came: {C}; left: {A}; changed: {B}",
        f"cluster app: hosts: 12; came: {listed}, and 2 more; left: {B}, {C}",
    ]


def test_that_a_logical_host_moves_is_no_news(
    membership: Membership, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for address in (A, B, C):
        membership.replace([Member(address, logical="app.test:80")])
    assert caplog.messages == ["cluster app: hosts: 1; came: app.test:80"]
    assert addresses(membership) == [C]


def test_what_is_counted(membership: Membership, reader: Reader) -> None:
    for listing in (members(A, B, C), [], members(A, B)):
        membership.attempt()
        membership.replace(listing)
    membership.attempt()
    membership.fail("timeout")
    membership.mark(A, FAILED_ACTIVE_HC, "timeout")
    snapshot = reader.snapshot()
    named = {**snapshot.counters, **snapshot.gauges}
    assert {
        "cluster.app.membership_change": 3,
        "cluster.app.membership_total": 2,
        "cluster.app.membership_healthy": 1,
        "cluster.app.update_attempt": 4,
        "cluster.app.update_success": 3,
        "cluster.app.update_empty": 1,
        "cluster.app.update_failure": 1,
    }.items() <= named.items()


def test_who_is_trusted_is_sent_requests_until_it_is_checked(writer: Writer) -> None:
    membership = Membership(DISCOVERED, writer, Changes(), checked=True, trusted=[A])
    membership.replace([Member(A), Member(B)])
    assert [each.flags for each in membership.members] == [
        (PENDING_ACTIVE_HC,),
        (FAILED_ACTIVE_HC, PENDING_ACTIVE_HC),
    ]
    assert [each.healthy for each in membership.members] == [True, False]


def test_trust_is_for_the_first_hosts_alone(writer: Writer) -> None:
    """Who comes later, or returns, may have changed."""
    membership = Membership(DISCOVERED, writer, Changes(), checked=True, trusted=[A])
    membership.replace([Member(B)])
    membership.replace([Member(A)])
    assert [each.healthy for each in membership.members] == [False]
