from __future__ import annotations

import re

import pytest

from trioproxy.config.marks import Invalid
from trioproxy.config.route import (
    DirectResponse,
    HeaderMatch,
    Redirect,
    RegexRewrite,
    Route,
    RouteAction,
    RouteMatch,
    WeightedCluster,
)

EVERYTHING = RouteMatch(prefix="/")
TEAPOT = DirectResponse(418)


def test_a_match_is_of_one_kind() -> None:
    for match in ({"prefix": "/"}, {"path": "/x"}, {"connect": True}):
        assert RouteMatch(**match)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="expected one of prefix, path, regex, connect"):
        RouteMatch()
    with pytest.raises(Invalid, match="prefix and connect exclude each other"):
        RouteMatch(prefix="/", connect=True)


def test_a_route_has_one_action() -> None:
    assert Route(EVERYTHING, direct_response=TEAPOT).route is None
    with pytest.raises(Invalid, match="expected one of route, redirect, direct_response"):
        Route(EVERYTHING)
    with pytest.raises(Invalid, match="redirect and direct_response exclude each other"):
        Route(EVERYTHING, redirect=Redirect(), direct_response=TEAPOT)


def test_a_value_is_tested_in_one_way() -> None:
    assert HeaderMatch("x", present=False).exact is None
    with pytest.raises(Invalid, match="exact and regex exclude each other"):
        HeaderMatch("x", exact="", regex=re.compile(""))


def test_an_action_has_clusters_and_at_least_one_of_them_is_used() -> None:
    with pytest.raises(Invalid, match="expected one of cluster, weighted_clusters"):
        RouteAction()
    with pytest.raises(Invalid, match="weights add up to 0"):
        RouteAction(weighted_clusters=(WeightedCluster("a", 0),))


def test_there_is_one_rewrite_of_the_path() -> None:
    with pytest.raises(Invalid, match="exclude each other"):
        RouteAction("a", prefix_rewrite="/", regex_rewrite=RegexRewrite(re.compile("x"), ""))
    with pytest.raises(Invalid, match="exclude each other"):
        Redirect(path="/", prefix_rewrite="/")


@pytest.mark.parametrize("substitution", [r"\2", r"\g<name>", "\\"])
def test_a_substitution_fits_its_pattern(substitution: str) -> None:
    assert RegexRewrite(re.compile("/(a)b"), r"/\1\g<1>")
    with pytest.raises(Invalid, match="not a substitution for this pattern"):
        RegexRewrite(re.compile("/(a)b"), substitution)
