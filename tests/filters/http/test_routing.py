from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from trioproxy.accesslog.record import Record
from trioproxy.config.headers import HeaderOperations
from trioproxy.config.route import (
    DirectResponse,
    Redirect,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from trioproxy.filters.http.routing import REMEMBERED, RouteTable
from trioproxy.headers import Headers

ANY = Route(RouteMatch(prefix="/"), route=RouteAction(cluster="app"))


def host_for(table: RouteTable, authority: str) -> str | None:
    matched = table.match(authority, "/", "GET", Headers())
    return matched and matched.virtual_host


def table_of(*domains: str) -> RouteTable:
    """A virtual host for each domain, named by it."""
    return RouteTable([VirtualHost(domain, (domain,), (ANY,)) for domain in domains])


@pytest.mark.parametrize(
    ("authority", "domain"),
    [
        ("example.org", "example.org"),
        ("EXAMPLE.org", "example.org"),
        ("example.org:8080", "example.org"),
        ("example.org:8443", "example.org:8443"),
        ("a.example.org", "*.example.org"),
        ("a.example.org:8080", "*.example.org"),
        ("b.a.example.org", "*.a.example.org"),
        ("x-api.example.org", "*-api.example.org"),
        ("-api.example.org", "*.example.org"),
        (".example.org", "*.org"),
        ("other.org", "*.org"),
        ("api.example.com", "api.example.*"),
        ("api.net", "api.*"),
        ("api.example.org", "*.example.org"),
        ("api.", "*"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("nothing.like.it", "*"),
        ("", "*"),
    ],
)
def test_domains_exact_then_longest_suffix_then_longest_prefix_then_any(
    authority: str, domain: str
) -> None:
    domains = ["*", "api.*", "api.example.*", "*.org", "*.example.org", "*.a.example.org",
               "*-api.example.org", "Example.org", "example.org:8443", "[::1]"]  # fmt: skip
    for order in (domains, domains[::-1]):
        found = host_for(table_of(*order), authority)
        assert found is not None
        assert found.lower() == domain


def test_no_domain_matches() -> None:
    assert host_for(table_of("example.org", "*.net"), "example.com") is None


def test_a_virtual_host_has_several_domains_and_keeps_its_requests() -> None:
    first = VirtualHost("first", ("a", "b"), (Route(RouteMatch(path="/x"), redirect=Redirect()),))
    table = RouteTable([first, VirtualHost("rest", ("*",), (ANY,))])
    assert host_for(table, "c") == "rest"
    assert host_for(table, "b") is None  # not the next virtual host's


def test_the_first_route_that_matches_takes_the_request() -> None:
    routes = (
        Route(RouteMatch(path="/a"), direct_response=DirectResponse(204), name="one"),
        Route(RouteMatch(prefix="/a", methods=("PUT",)), redirect=Redirect(), name="two"),
        Route(RouteMatch(prefix="/a"), route=RouteAction(cluster="app")),
    )
    table = RouteTable([VirtualHost("v", ("*",), routes)])

    def found(path: str, method: str = "GET") -> Route | None:
        matched = table.match("h", path, method, Headers())
        return matched and matched.config

    assert found("/a?b") is routes[0]
    assert found("/ab", "PUT") is routes[1]
    assert found("/ab") is routes[2]
    assert found("/b") is None


def test_what_a_matched_route_does() -> None:
    action = RouteAction(cluster="app", prefix_rewrite="/new/")
    routes = (
        Route(RouteMatch(prefix="/old/"), route=action, name="old"),
        Route(RouteMatch(prefix="/"), redirect=Redirect(scheme="https")),
    )
    table = RouteTable([VirtualHost("v", ("*",), routes)])
    old = table.match("h", "/old/a", "GET", Headers())
    assert old is not None
    assert old.pick_cluster is not None
    assert old.rewrite_path is not None
    assert (old.name, old.pick_cluster(Random(1)), old.rewrite_path("/old/a?q")) == (
        "old",
        "app",
        "/new/a?q",
    )
    assert old.locate is None
    other = table.match("h", "/", "GET", Headers())
    assert other is not None
    assert other.locate is not None
    assert (other.name, other.pick_cluster, other.rewrite_path) == (None, None, None)
    assert other.locate("http", "h", "/") == "https://h/"


def test_weighted_clusters_share_by_weight() -> None:
    clusters = (WeightedCluster("a", 1), WeightedCluster("none", 0), WeightedCluster("b", 3))
    route = Route(RouteMatch(prefix="/"), route=RouteAction(weighted_clusters=clusters))
    matched = RouteTable([VirtualHost("v", ("*",), (route,))]).match("h", "/", "GET", Headers())
    assert matched is not None
    assert matched.pick_cluster is not None
    rng = Random(1)
    counts = Counter(matched.pick_cluster(rng) for _ in range(40_000))
    assert counts.keys() == {"a", "b"}
    assert abs(counts["a"] - 10_000) < 500


def test_header_operations_of_manager_virtual_host_and_route() -> None:
    def mark(level: str) -> HeaderOperations:
        return HeaderOperations(set={"x": level}, add={level: "1"})

    route = Route(
        RouteMatch(prefix="/"),
        direct_response=DirectResponse(200),
        request_headers=mark("route"),
        response_headers=HeaderOperations(remove=("server",)),
    )
    host = VirtualHost("v", ("*",), (route,), request_headers=mark("vhost"))
    matched = RouteTable([host], request_headers=mark("manager")).match("h", "/", "GET", Headers())
    assert matched is not None
    assert matched.change_request is not None
    assert matched.change_response is not None
    headers = Headers([(b"x", b"client"), (b"server", b"s")])
    matched.change_request(headers, Record(0.0, 0.0))
    assert list(headers) == [
        ("server", "s"), ("manager", "1"), ("vhost", "1"), ("x", "route"), ("route", "1")
    ]  # fmt: skip
    matched.change_response(headers, Record(0.0, 0.0))
    assert "server" not in headers
    plain = RouteTable([VirtualHost("v", ("*",), (ANY,))]).match("h", "/", "GET", Headers())
    assert plain is not None
    assert (plain.change_request, plain.change_response) == (None, None)


def test_made_up_authorities_do_not_pile_up() -> None:
    table = table_of("*")
    for number in range(REMEMBERED + 10):
        assert host_for(table, f"host-{number}.org") == "*"
    assert table._routes_of.cache_info().currsize == REMEMBERED
