from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.config.discovery import LogicalDns, PolledUrl, StrictDns, WatchedFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.config.loader import Loaded

    Load = Callable[[str], Loaded]
    Mistakes = Callable[[str], list[str]]


def cluster(discovery: str) -> str:
    return f"clusters: [{{name: a, discovery: {{{discovery}}}}}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("strict_dns: {address: a.b:80, refresh: 5s}", StrictDns("a.b:80", refresh=5.0)),
        ("strict_dns: {srv: _http._tcp.app.}", StrictDns(srv="_http._tcp.app.")),
        ("logical_dns: {address: app:80, lookup_family: all}", LogicalDns("app:80", "all")),
        ("http: {url: http://127.0.0.1:8500/app}", PolledUrl("http://127.0.0.1:8500/app")),
    ],
)  # fmt: skip
def test_how_hosts_are_found(loaded: Load, text: str, expected: object) -> None:
    discovery = loaded(cluster(text)).config.clusters[0].discovery
    assert discovery is not None
    assert expected in (discovery.strict_dns, discovery.logical_dns, discovery.http)


def test_a_path_is_relative_to_the_configuration(loaded: Load) -> None:
    loading = loaded(cluster("file: {path: app.yaml}"))
    discovery = loading.config.clusters[0].discovery
    assert discovery is not None
    assert isinstance(discovery.file, WatchedFile)
    assert discovery.file.path == loading.config.directory / "app.yaml"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "expected one of strict_dns, logical_dns, file or http"),
        ("file: {path: a}, http: {url: http://a}", "expected one of strict_dns"),
        ("strict_dns: {}", "expected either address or srv"),
        ("strict_dns: {address: a:1, srv: b}", "expected either address or srv"),
        ("strict_dns: {address: app}", "expected a DNS name with a port such as app.internal:8080"),
        (
            "strict_dns: {address: '127.0.0.1:80'}",
            "127.0.0.1 is no name to ask for: list addresses",
        ),
        ("logical_dns: {address: '127.0.0.1:80'}", "127.0.0.1 is no name to ask for: list"),
        ("strict_dns: {address: app:0}", "expected a port from 1 to 65535"),
        ("logical_dns: {address: app:70000}", "expected a port from 1 to 65535"),
        ("strict_dns: {address: -app:1}", "expected a DNS name"),
        ("strict_dns: {address: app:1, refresh: 0s}", "expected a pause"),
        ("strict_dns: {address: app:1, resolvers: [127.0.0.1:0]}", "expected addresses with ports"),
        ("logical_dns: {address: app:1, resolvers: [unix:x]}", "expected addresses with ports"),
        ("http: {url: ftp://a/}", "expected a URL of http or https"),
        ("http: {url: http://user:word@a/}", "expected a URL of http or https"),
        ("http: {url: http://a.b/\u00e9}", "expected a URL of http or https, all of it ASCII"),
        ("http: {url: http://\u00e9.b/}", "expected a URL of http or https, all of it ASCII"),
        ("http: {url: http://a:99999/}", "1:46: expected a host, and a port from 1 to 65535"),
        ("http: {url: http://a:0/}", "expected a host, and a port from 1 to 65535"),
        ("http: {url: http://:80/}", "expected a URL of http or https"),
        ("http: {url: 'http://[1.2:3]/'}", "expected a host, and a port"),
        ('http: {url: http://a, headers: {x: "\u00e9"}}', "'x' cannot be sent"),
        ('http: {url: http://a, headers: {x: " a"}}', "'x' cannot be sent"),
        ('http: {url: http://a, headers: {Content-Length: "1"}}', "Content-Length frames the"),
        ('http: {url: http://a, headers: {"x y": a}}', "'x y' cannot be sent"),
        ('http: {url: http://a, headers: {x: "a\\r\\nb: c"}}', "'x' cannot be sent"),
    ],
)
def test_mistakes(mistakes: Mistakes, text: str, mistake: str) -> None:
    (found,) = mistakes(cluster(text))
    assert mistake in found


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("{name: a}", "expected endpoints or discovery"),
        (
            "{name: a, endpoints: [127.0.0.1:1], discovery: {file: {path: x}}}",
            "expected endpoints or discovery, not both",
        ),
    ],
)
def test_hosts_are_listed_or_found(mistakes: Mistakes, text: str, mistake: str) -> None:
    (found,) = mistakes(f"clusters: [{text}]")
    assert mistake in found
