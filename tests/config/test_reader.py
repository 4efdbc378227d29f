"""What a file says and what is read, or said about it; positions are line:column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.config.address import Address
from trioproxy.config.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.config.loader import Loaded

    Load = Callable[[str], Loaded]
    Mistakes = Callable[[str], list[str]]

CLUSTER = "clusters: [{name: app, endpoints: [127.0.0.1:80]}]\n"


def listener(filters: str, name: str = "web", port: int = 0) -> str:
    return f"{{name: {name}, address: 127.0.0.1:{port}, filters: [{filters}]}}"


def test_a_map_becomes_the_class_that_its_place_asks_for(loaded: Load) -> None:
    (cluster,) = loaded(CLUSTER).config.clusters
    assert cluster.name == "app"
    assert cluster.connect_timeout == 5.0


def test_a_scalar_is_short_for_a_map_where_the_class_says_so(loaded: Load) -> None:
    text = "clusters: [{name: a, endpoints: [127.0.0.1:1, {address: 127.0.0.1:2, weight: 3}]}]"
    first, second = Address.parse("127.0.0.1:1"), Address.parse("127.0.0.1:2")
    assert loaded(text).config.clusters[0].endpoints == (Endpoint(first), Endpoint(second, 3))


def test_nothing_is_a_map_without_entries_and_none_where_that_may_be(loaded: Load) -> None:
    config = loaded("drain:\nadmin:\n").config
    assert (config.drain.time, config.admin) == (600.0, None)


def test_a_filter_is_read_as_the_class_of_its_name(loaded: Load) -> None:
    text = f"listeners: [{listener('http: {codec_type: http1, max_request_headers: 8KiB}')}]"
    (chain,) = loaded(text).config.listeners[0].chains
    (http,) = chain.filters
    assert type(http).__name__ == "Http"
    assert getattr(http, "max_request_headers", None) == 8192


def test_free_content_is_left_as_it_is(loaded: Load) -> None:
    python = "python: {filter: a:B, config: {words: [secret, 1, 1.5, true, ~], deep: {er: x}}}"
    text = f"listeners: [{listener(f'http: {{http_filters: [{python}]}}')}]"
    http = loaded(text).config.listeners[0].chains[0].filters[0]
    config = http.http_filters[0].config  # type: ignore[attr-defined]
    assert config == {"words": ["secret", 1, 1.5, True, None], "deep": {"er": "x"}}


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[]", "1:1: expected a map of listeners, clusters, admin, "),
        ("drian: {}", "1:1: unknown key 'drian' (did you mean 'drain'?)"),
        ("x: {}", "1:1: unknown key 'x' (expected listeners, clusters, "),
        ("drain: {notice: 5}", "1:17: expected a share such as 25% or a duration such as 10s, fou"),
        ("drain: {notice: 150%}", "1:17: 150% is more than the largest, 100%"),
        ("drain: {notice: 50%, idle: 20%}", "1:28: notice comes after idle"),
        ("drain: {notice: 5s, life: 4s}", "1:27: notice comes after life"),
        ("drain: {time: 15}", "1:15: expected a duration such as 5s, 250ms or 1h, found '15'"),
        ("drain: {time: [5s]}", "1:15: expected a duration such as 5s, 250ms or 1h, found a list"),
        ("drain: {time: ~}", "1:15: expected a duration"),
        ("drain: {strategy: gradul}", "1:19: expected one of gradual, immediate, found 'gradul'"),
        ("drain: 5s", "1:8: expected a map of notice, idle, stream, life, quiet, "),
        ("admin: {}", "1:8: missing 'address': Where it listens"),
        ("admin:\n  address: ::1", "2:12: expected an address"),
        ('admin: {address: ["::1"]}', '1:18: expected an address such as 127.0.0.1:80, "[::1]:80"'),
        ("admin: {address: ~}", "1:18: expected an address"),
        ("admin: {address: 127.0.0.1:80, mode: 660}", "1:38: expected an octal mode"),
        ('admin: {address: 127.0.0.1:80, mode: "9z"}', "1:38: expected an octal mode"),
        ("listeners: {}", "1:12: expected a list, found a map"),
        ("listeners: [web]", "1:13: expected a map of name, address, "),
        ("hot_restart: {allow_uids: [-1]}", "1:28: expected a whole number of at least 0"),
        ("hot_restart: {allow_uids: [1.5]}", "1:28: expected a whole number of at least 0"),
        ('hot_restart: {allow_uids: ["5"]}', "1:28: expected a whole number of at least 0, found "),
        ("hot_restart: {allow_uids: [true]}", "1:28: expected a whole number"),
        ("clusters: [{name: a, endpoints: []}]", "1:33: expected endpoints or discovery"),
        ("clusters: [{name: ' ', endpoints: [127.0.0.1:1]}]", "1:19: expected a name, found ' '"),
        ("clusters: [{name: 5, endpoints: [127.0.0.1:1]}]", '1:19: expected a name, found the nu'),
        ("listeners: [{name: a, address: 127.0.0.1:1, filters: [tcp]}]", "1:55: expected a map of"),
        ("listeners: [{name: a, address: 127.0.0.1:1}]", "1:13: expected filters or filter_chains"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(mistakes: Mistakes, text: str, mistake: str) -> None:
    (found,) = mistakes(text)
    assert found.startswith(mistake)


@pytest.mark.parametrize(
    ("filters", "mistake"),
    [
        ("tpc: {}", "unknown network filter 'tpc' (did you mean 'tcp'?)"),
        ("zzz: {}", "unknown network filter 'zzz' (expected tcp, http)"),
        ("compressor: {}", "filter 'compressor' is not supported yet"),
        ("{tcp: {cluster: app}, http: {}}", "expected a map of one key, tcp or http, found a map"),
        ("tcp: {cluster: ap}", "unknown cluster 'ap' (did you mean 'app'?)"),
        ("tcp: {cluster: app, drain: {}}", "'drain' is not supported yet"),
        ("http: {codec_type: http2}", "'http2' is not supported yet"),
        ("http: {http_filters: []}", "expected a list with something in it"),
        ("http: {http_filters: [tcp: {}]}", "unknown http filter 'tcp'"),
        ("http: {max_request_headers: 0}", "too small for any head"),
        ("http: {http_filters: [python: {filter: missing:X}]}", "cannot import missing:X"),
    ],
)
def test_mistakes_in_filters(mistakes: Mistakes, filters: str, mistake: str) -> None:
    (found,) = mistakes(f"{CLUSTER}listeners: [{listener(filters)}]")
    assert found.startswith("2:")
    assert mistake in found


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            "clusters:\n- {name: a, endpoints: [127.0.0.1:1]}\n- {name: a, endpoints: []}",
            "3:10: duplicate name 'a' (first at --config-yaml:2:10)",
        ),
        (
            'clusters: [{name: a, endpoints: ["[::1]:1", "[0::1]:1"]}]',
            "1:45: duplicate address '[::1]:1' (first at --config-yaml:1:34)",
        ),
        (
            f"{CLUSTER}listeners:\n- {listener('tcp: {cluster: app}', 'a', 7)}\n"
            f"- {listener('tcp: {cluster: app}', 'b', 7)}",
            "4:22: duplicate address '127.0.0.1:7' (first at --config-yaml:3:22)",
        ),
        (
            "listeners:\n- name: a\n  address: 127.0.0.1:7\n  filters:\n  - http:\n"
            "      virtual_hosts:\n"
            "      - {name: a, domains: [x, y], routes: []}\n"
            "      - {name: b, domains: [z, x], routes: []}\n",
            "8:32: duplicate domain 'x' (first at --config-yaml:7:29)",
        ),
    ],
)
def test_what_must_be_unique_is(mistakes: Mistakes, text: str, mistake: str) -> None:
    assert mistake in mistakes(text)


def test_listeners_on_any_free_port_are_not_duplicates(loaded: Load) -> None:
    a, b = listener("http: {}", "a"), listener("http: {}", "b")
    assert len(loaded(f"listeners: [{a}, {b}]").config.listeners) == 2


def test_a_cluster_with_a_mistake_is_still_known(mistakes: Mistakes) -> None:
    text = (
        f"clusters: [{{name: app, endpoints: [x]}}]\nlisteners: [{listener('tcp: {cluster: app}')}]"
    )
    (found,) = mistakes(text)
    assert found.startswith("1:36: expected an address")


def test_the_parts_are_known_with_their_places(loaded: Load) -> None:
    """What is verified later can still be told with its place."""
    parts = {type(part).__name__: str(place) for part, place in loaded(CLUSTER).parts}
    assert parts == {
        "Config": "--config-yaml:1:1",
        "Cluster": "--config-yaml:1:12",
        "Endpoint": "--config-yaml:1:36",
    }


def test_fields_that_do_not_fit_are_told_beside_fields_that_cannot_be_read(
    mistakes: Mistakes,
) -> None:
    text = "listeners: [{name: a, address: x, filters: [http: {}], filter_chains: []}]"
    assert [mistake.partition(":")[2].partition(",")[0] for mistake in mistakes(text)] == [
        "32: expected an address such as 127.0.0.1:80",
        "44: filters and filter_chains exclude each other",
        "71: expected a list with something in it",
    ]
