from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from trioproxy.config.address import Address
from trioproxy.config.endpoint import Endpoint, Locality
from trioproxy.upstream.member import (
    DEGRADED_EDS_HEALTH,
    FAILED_ACTIVE_HC,
    FAILED_EDS_HEALTH,
    FAILED_OUTLIER_CHECK,
    PENDING_ACTIVE_HC,
    Member,
    Place,
    member,
    pack,
    unpack,
)

HERE = Address.parse("127.0.0.1:1")
WORDS = st.text(max_size=5)
PLACES = st.builds(Place, WORDS, WORDS, WORDS, st.integers(0, 9))
SCALARS = st.none() | st.booleans() | st.integers() | st.text()
MEMBERS = st.builds(
    Member,
    st.text(min_size=1),
    st.integers(1, 9),
    WORDS,
    st.integers(0, 9),
    PLACES,
    st.dictionaries(WORDS, SCALARS),
    st.lists(WORDS).map(tuple),
    WORDS,
)


@given(st.lists(MEMBERS))
def test_members_are_the_same_after_json(members: list[Member]) -> None:
    assert unpack(json.loads(json.dumps(pack(members)))) == tuple(members)


def test_what_is_as_usual_is_not_said() -> None:
    assert pack([Member("127.0.0.1:1", locality=Place(zone="a"))]) == (
        {"address": "127.0.0.1:1", "locality": {"zone": "a"}},
    )


def test_what_is_configured_makes_a_member() -> None:
    locality = Locality("eu", "a", "1", weight=5)
    endpoint = Endpoint(HERE, 3, "app-1", 1, locality, {"stage": "canary"}, "degraded")
    assert member(endpoint) == Member(
        "127.0.0.1:1",
        3,
        "app-1",
        1,
        Place("eu", "a", "1", 5),
        {"stage": "canary"},
        (DEGRADED_EDS_HEALTH,),
    )
    assert not member(Endpoint(HERE, health_status="draining")).healthy
    assert member(Endpoint(HERE)) == Member("127.0.0.1:1")


def test_what_the_flags_mean() -> None:
    said = {
        (): (True, False),
        (PENDING_ACTIVE_HC,): (True, False),
        (DEGRADED_EDS_HEALTH,): (True, True),
        (FAILED_EDS_HEALTH,): (False, False),
        (FAILED_OUTLIER_CHECK, PENDING_ACTIVE_HC): (False, False),
    }
    for flags, (healthy, degraded) in said.items():
        found = Member("a", flags=flags)
        assert (found.healthy, found.degraded) == (healthy, degraded)


def test_who_is_unknown_was_neither_checked_nor_trusted() -> None:
    assert Member("a", flags=(FAILED_ACTIVE_HC, PENDING_ACTIVE_HC)).unknown
    assert not Member("a", flags=(PENDING_ACTIVE_HC,)).unknown
    assert not Member("a", flags=(FAILED_ACTIVE_HC,)).unknown


def test_a_logical_host_is_known_by_its_name() -> None:
    assert Member("127.0.0.1:1").key == "127.0.0.1:1"
    assert Member("127.0.0.1:1", logical="app.test:1").key == "app.test:1"
