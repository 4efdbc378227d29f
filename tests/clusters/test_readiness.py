from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from trioproxy.clusters.changes import Changes
from trioproxy.clusters.membership import Membership
from trioproxy.clusters.readiness import shortcomings
from trioproxy.config.cluster import Cluster
from trioproxy.config.discovery import Discovery, StrictDns
from trioproxy.upstream.member import (
    FAILED_ACTIVE_HC,
    FAILED_EDS_HEALTH,
    PENDING_ACTIVE_HC,
    Member,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.stats.writer import Writer

    Make = Callable[..., Membership]

A, B, C = (f"127.0.0.1:{port}" for port in (1, 2, 3))
APP = Cluster("app", discovery=Discovery(strict_dns=StrictDns("app.internal:80")))


@pytest.fixture
def make(writer: Writer) -> Make:
    """Makes the membership of a cluster, with fields of its configuration."""

    def make(*, checked: bool = False, **fields: object) -> Membership:
        return Membership(attrs.evolve(APP, **fields), writer, Changes(), checked=checked)

    return make


def members(*addresses: str) -> list[Member]:
    return [Member(address) for address in addresses]


def test_hosts_have_to_be_known(make: Make) -> None:
    membership = make()
    assert shortcomings(membership) == "its hosts are not known yet"
    membership.fail("no answer in time")
    assert shortcomings(membership) == "no answer in time"
    membership.replace([])
    assert shortcomings(membership) == "it has no hosts"
    membership.replace(members(A))
    assert shortcomings(membership) == ""


def test_hosts_that_were_known_will_do_whatever_came_of_the_last_attempt(make: Make) -> None:
    membership = make()
    membership.replace(members(A))
    membership.fail("no answer in time")
    assert shortcomings(membership) == ""


def test_each_host_has_its_first_round(make: Make) -> None:
    """A32: those that had none are named."""
    membership = make(checked=True)
    membership.replace(members(A, B))
    membership.clear(A, FAILED_ACTIVE_HC)
    membership.clear(A, PENDING_ACTIVE_HC)
    assert shortcomings(membership) == f"{B} (not checked yet)"
    membership.mark(B, FAILED_ACTIVE_HC, "status 500")
    membership.clear(B, PENDING_ACTIVE_HC)
    assert shortcomings(membership) == ""


@pytest.mark.parametrize(
    ("least", "ill", "missing"),
    [
        (0.0, [A, B], ""),
        (0.0, [A, B, C], f"0 of 3 hosts healthy, 1 needed: {A} (refused), {B} (refused), "),
        (0.5, [A], ""),
        (0.5, [A, B], f"1 of 3 hosts healthy, 2 needed: {A} (refused), {B} (refused)"),
        (1.0, [C], f"2 of 3 hosts healthy, 3 needed: {C} (refused)"),
    ],
)
def test_enough_have_to_be_healthy(make: Make, least: float, ill: list[str], missing: str) -> None:
    membership = make(min_healthy=least)
    membership.replace(members(A, B, C))
    for each in ill:
        membership.mark(each, FAILED_ACTIVE_HC, "refused")
    said = shortcomings(membership)
    assert said.startswith(missing)
    assert bool(said) == bool(missing)


def test_a_share_is_exact(make: Make) -> None:
    membership = make(min_healthy=0.07)
    hosts = members(*(f"127.0.0.1:{port}" for port in range(1, 101)))
    membership.replace(hosts)
    for each in hosts[:93]:
        membership.mark(each.key, FAILED_ACTIVE_HC, "refused")
    assert shortcomings(membership) == ""


def test_what_the_list_says_of_a_host_is_a_reason_too(make: Make) -> None:
    membership = make()
    membership.replace([Member(A, flags=(FAILED_EDS_HEALTH,))])
    assert shortcomings(membership).endswith(f"1 needed: {A} (failed_eds_health)")


def test_a_cluster_that_is_not_required_lacks_nothing(make: Make) -> None:
    membership = make(required=False, checked=True)
    assert shortcomings(membership) == ""
    membership.replace(members(A))
    assert shortcomings(membership) == ""
