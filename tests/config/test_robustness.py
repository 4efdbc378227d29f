"""Whatever is in a file, it is read or refused with places, never a crash."""

from __future__ import annotations

import json
from contextlib import suppress
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trioproxy.config.document import parse
from trioproxy.config.loader import load
from trioproxy.config.nodes import plain
from trioproxy.config.problems import ConfigError, Problem
from trioproxy.filters.registry import REGISTRY

SOUND: Any = plain(
    parse(
        """
admin: {address: 127.0.0.1:9901, mode: "660"}
drain: {time: 5s, strategy: gradual}
hot_restart: {allow_uids: [1], parent_silent: {after: 5s, then: exit}}
python_path: [x]
listeners:
- {name: a, address: 127.0.0.1:1, filter_chains: [{filters: [
    {http_connection_manager: {stat_prefix: x, http_filters: [{router: {}}],
     access_log: {path: /x, format: json, fields: {a: "%PROTOCOL%"}}, virtual_hosts: [
      {name: a, domains: [x, y], response_headers: {set: {a: b}, remove: [c]}, routes: [
        {match: {prefix: /, headers: [{name: a, exact: b}], methods: [GET]},
         route: {weighted_clusters: [{name: c, weight: 1}], timeout: 5s,
           regex_rewrite: {pattern: a, substitution: b},
           retry: {on: [5xx, retriable_status_codes], status_codes: [503], budget: 20%,
             backoff: {base: 1s, max: 2s}}}},
        {match: {regex: a}, redirect: {path: /x, status: 308}},
        {match: {path: /x}, direct_response: {status: 200, body: x}}]}]}}]}]}
clusters: [{name: c, endpoints: [127.0.0.1:1, {address: "[::1]:2", weight: 3}]}]
""",
        "sound",
    )
)
ODD: list[Any] = [None, True, 0, -1, 2**70, 1.5, [], {}, [[]], ["x", "x"], {"x": None}]
ODD += ["", "x", "5s", "%", "(", "a: b", "::1", "/", "\0", "\ud800", {"router": {}}]


def places(node: Any) -> list[tuple[Any, Any]]:
    """Return every container in `node` with each of its keys."""
    pairs = enumerate(node) if isinstance(node, list) else node.items()
    found = []
    for key, value in list(pairs):
        found.append((node, key))
        if isinstance(value, list | dict) and value:
            found += places(value)
    return found


def problems_of(value: Any) -> tuple[Problem, ...]:
    try:
        load(None, json.dumps(value), REGISTRY)
    except ConfigError as error:
        return error.problems
    return ()


def test_the_starting_point_is_sound() -> None:
    assert problems_of(SOUND) == ()


@given(st.data())
@settings(deadline=None)
def test_no_odd_values_crash_the_reader(data: st.DataObject) -> None:
    mutant = json.loads(json.dumps(SOUND))
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(mutant)))
        container[key] = deepcopy(data.draw(st.sampled_from(ODD)))
    assert all(problem.place.line and problem.reason for problem in problems_of(mutant))


@given(st.text(alphabet="{}[]:,-&*!|>'\"%@`#?~ \n\tab1.", max_size=40))
@settings(deadline=None)
def test_no_text_crashes_the_parser(text: str) -> None:
    with suppress(ConfigError):
        parse(text, "text")


@given(st.text(st.characters(), max_size=20))
@settings(deadline=None)
def test_no_character_crashes_the_parser(text: str) -> None:
    with suppress(ConfigError):
        parse(f"a: {text}", "text")
