from __future__ import annotations

import re

import pytest

from trioproxy.config.route import HeaderMatch, QueryParameterMatch, RouteMatch
from trioproxy.filters.http.route_match import compile_match
from trioproxy.headers import Headers


def matches(
    match: RouteMatch, target: str = "/", method: str = "GET", headers: Headers | None = None
) -> bool:
    path, _, query = target.partition("?")
    return compile_match(match)(path, query, method, headers or Headers())


@pytest.mark.parametrize(
    ("match", "yes", "no"),
    [
        (RouteMatch(prefix="/"), ["/", "/a", "//"], ["", "*"]),
        (RouteMatch(prefix="/a"), ["/a", "/ab", "/a/b", "/a?x"], ["/A", "/", "/x?/a"]),
        (RouteMatch(prefix="/A", case_sensitive=False), ["/a", "/AB"], ["/b"]),
        (RouteMatch(path="/a"), ["/a", "/a?b"], ["/a/", "/ab", "/A"]),
        (RouteMatch(path="/a", case_sensitive=False), ["/A?b"], ["/a/"]),
        (RouteMatch(regex=re.compile("/[ab]+")), ["/ab", "/a?c"], ["/abc", "/", "/c/a"]),
    ],
)
def test_paths_without_their_query(match: RouteMatch, yes: list[str], no: list[str]) -> None:
    assert [target for target in yes + no if matches(match, target)] == yes


def test_methods() -> None:
    match = RouteMatch(prefix="/", methods=("GET", "HEAD"))
    assert matches(match, method="HEAD")
    assert not matches(match, method="POST")
    assert not matches(match, method="get")


def test_connect() -> None:
    assert matches(RouteMatch(connect=True), "", "CONNECT")
    assert not matches(RouteMatch(connect=True), "/", "GET")
    assert not matches(RouteMatch(prefix="/"), "", "CONNECT")


VALUES = [
    ({"exact": "abc"}, "abc", "abcd"),
    ({"exact": ""}, "", "a"),
    ({"prefix": "ab"}, "abc", "cab"),
    ({"suffix": "bc"}, "abc", "bca"),
    ({"contains": "b"}, "abc", "ac"),
    ({"regex": re.compile("[abc]+")}, "abc", "abcd"),
]


@pytest.mark.parametrize(("test", "yes", "no"), VALUES)
def test_headers(test: dict[str, str], yes: str, no: str) -> None:
    match = RouteMatch(prefix="/", headers=(HeaderMatch("X-Name", **test),))
    inverted = RouteMatch(prefix="/", headers=(HeaderMatch("X-Name", **test, invert=True),))
    for value, verdict in [(yes, True), (no, False)]:
        headers = Headers([(b"x-other", b"abc"), (b"x-name", value.encode())])
        assert matches(match, headers=headers) is verdict
        assert matches(inverted, headers=headers) is not verdict
    assert not matches(match)
    assert matches(inverted)


@pytest.mark.parametrize(("test", "yes", "no"), VALUES)
def test_query_parameters(test: dict[str, str], yes: str, no: str) -> None:
    match = RouteMatch(prefix="/", query_parameters=(QueryParameterMatch("n", **test),))
    assert matches(match, f"/?o=abc&n={yes}&n=x")
    assert not matches(match, f"/?n={no}")
    assert not matches(match, "/?N=abc")
    assert not matches(match)


def test_presence() -> None:
    for present, there in [(None, True), (True, True), (False, False)]:
        match = RouteMatch(prefix="/", headers=(HeaderMatch("a", present=present),))
        inverted = RouteMatch(prefix="/", headers=(HeaderMatch("a", present=present, invert=True),))
        for headers, given in [(Headers([(b"a", b"")]), True), (Headers(), False)]:
            assert matches(match, headers=headers) is (given is there)
            assert matches(inverted, headers=headers) is (given is not there)


def test_several_fields_of_one_name_are_one_value() -> None:
    match = RouteMatch(prefix="/", headers=(HeaderMatch("a", exact="1,2"),))
    assert matches(match, headers=Headers([(b"a", b"1"), (b"b", b"x"), (b"a", b"2")]))


def test_query_parameters_are_decoded() -> None:
    match = RouteMatch(prefix="/", query_parameters=(QueryParameterMatch("a b", exact="c&é"),))
    assert matches(match, "/?a%20b=c%26%C3%A9")
    assert matches(match, "/?a+b=c%26%c3%a9&x")


def test_all_that_is_asked_must_hold() -> None:
    match = RouteMatch(
        prefix="/a",
        methods=("GET",),
        headers=(HeaderMatch("h", exact="1"),),
        query_parameters=(QueryParameterMatch("q"),),
    )
    headers = Headers([(b"h", b"1")])
    assert matches(match, "/a?q", headers=headers)
    assert not matches(match, "/b?q", headers=headers)
    assert not matches(match, "/a?q", "PUT", headers=headers)
    assert not matches(match, "/a?q")
    assert not matches(match, "/a?r", headers=headers)
