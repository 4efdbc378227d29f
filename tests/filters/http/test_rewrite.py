from __future__ import annotations

import re

import pytest

from trioproxy.config.route import Redirect, RegexRewrite, RouteAction, RouteMatch
from trioproxy.filters.http.rewrite import compile_redirect, compile_rewrite, split_port

PREFIX = RouteMatch(prefix="/v1/")
WHOLE = RouteMatch(path="/v1/a")
REGEX = RouteMatch(regex=re.compile("/v[0-9]+/.*"))


@pytest.mark.parametrize(
    ("match", "rewrite", "path", "expected"),
    [
        (PREFIX, "/", "/v1/a?b=/v1/", "/a?b=/v1/"),
        (PREFIX, "/new/", "/v1/", "/new/"),
        (RouteMatch(prefix="/V1/", case_sensitive=False), "/", "/v1/A", "/A"),
        (WHOLE, "/b", "/v1/a?q", "/b?q"),
        (WHOLE, "/b", "/v1/a", "/b"),
        (REGEX, "/b", "/v9/c?q?r", "/b?q?r"),
    ],
)
def test_prefix_rewrite(match: RouteMatch, rewrite: str, path: str, expected: str) -> None:
    change = compile_rewrite(match, RouteAction(cluster="app", prefix_rewrite=rewrite))
    assert change is not None
    assert change(path) == expected


@pytest.mark.parametrize(
    ("pattern", "substitution", "path", "expected"),
    [
        ("^/v([0-9]+)/(.*)$", r"/\2/\1", "/v7/x?y=/v1/", "/x/7?y=/v1/"),
        ("/+", "/", "//a///b?c=//", "/a/b?c=//"),
        ("^/a", "", "/ab", "/b"),
        ("nothing", "x", "/a", "/a"),
    ],
)
def test_regex_rewrite_never_leaves_the_path(
    pattern: str, substitution: str, path: str, expected: str
) -> None:
    action = RouteAction(
        cluster="app", regex_rewrite=RegexRewrite(re.compile(pattern), substitution)
    )
    change = compile_rewrite(PREFIX, action)
    assert change is not None
    assert change(path) == expected


def test_no_rewrite_is_none() -> None:
    assert compile_rewrite(PREFIX, RouteAction(cluster="app")) is None


@pytest.mark.parametrize(
    ("redirect", "authority", "expected"),
    [
        (Redirect(scheme="https"), "a.org", "https://a.org/v1/x?q=1"),
        (Redirect(scheme="https"), "a.org:80", "https://a.org/v1/x?q=1"),
        (Redirect(scheme="https"), "a.org:8080", "https://a.org:8080/v1/x?q=1"),
        (Redirect(scheme="https"), "[::1]:80", "https://[::1]/v1/x?q=1"),
        (Redirect(scheme="http"), "a.org:80", "http://a.org:80/v1/x?q=1"),
        (Redirect(scheme="https", port=8443), "a.org:80", "https://a.org:8443/v1/x?q=1"),
        (Redirect(host="b.org"), "a.org:8080", "http://b.org/v1/x?q=1"),
        (Redirect(host="b.org", port=81), "a.org", "http://b.org:81/v1/x?q=1"),
        (Redirect(path="/new"), "a.org", "http://a.org/new?q=1"),
        (Redirect(path="/new?r=2"), "a.org", "http://a.org/new?r=2"),
        (Redirect(path="/new", strip_query=True), "a.org", "http://a.org/new"),
        (Redirect(prefix_rewrite="/v2/"), "a.org", "http://a.org/v2/x?q=1"),
        (Redirect(prefix_rewrite="/", strip_query=True), "a.org", "http://a.org/x"),
        (Redirect(strip_query=True), "a.org", "http://a.org/v1/x"),
        (Redirect(status=302), "", "/v1/x?q=1"),
        (Redirect(scheme="https", host="b.org"), "", "https://b.org/v1/x?q=1"),
    ],
)
def test_redirect(redirect: Redirect, authority: str, expected: str) -> None:
    assert compile_redirect(PREFIX, redirect)("http", authority, "/v1/x?q=1") == expected


def test_a_redirect_without_a_host_cannot_be_made_to_name_one() -> None:
    locate = compile_redirect(RouteMatch(prefix="/"), Redirect(strip_query=True))
    assert locate("http", "", "//evil.org/x?q") == "/evil.org/x"


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("a.org", ("a.org", "")),
        ("a.org:80", ("a.org", "80")),
        ("a.org:", ("a.org", "")),
        ("[::1]", ("[::1]", "")),
        ("[::1]:80", ("[::1]", "80")),
        ("", ("", "")),
    ],
)
def test_split_port(authority: str, expected: tuple[str, str]) -> None:
    assert split_port(authority) == expected
