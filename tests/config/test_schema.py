"""The schema, tried with a validator of the few keywords that it uses."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from trioproxy.config.document import parse
from trioproxy.config.fields import fields_of
from trioproxy.config.nodes import plain
from trioproxy.config.reference import collect
from trioproxy.config.registry import KINDS
from trioproxy.config.schema import schema
from trioproxy.config.server import Config, Drain
from trioproxy.filters.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioproxy.config.registry import Registry

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
ANNOTATIONS = {"$schema", "$defs", "title", "description", "default", "unit", "format"}
KEYWORDS = {
    *ANNOTATIONS, "$ref", "additionalProperties", "anyOf", "enum", "items", "maximum", "minItems",
    "minimum", "oneOf", "pattern", "properties", "required", "type",
}  # fmt: skip


def faults(value: Any, rule: dict[str, Any], root: dict[str, Any], path: str = "") -> list[str]:
    """Return where `value` breaks `rule`, as paths."""
    assert rule.keys() <= KEYWORDS, rule
    found = list(own_faults(value, rule, path))
    if "$ref" in rule:
        name = rule["$ref"].removeprefix("#/$defs/")
        found += faults(value, root["$defs"][name], root, path)
    for keyword in ("anyOf", "oneOf"):
        options = [faults(value, option, root, path) for option in rule.get(keyword, [])]
        if options and [] not in options:
            found.append(path)
    if isinstance(value, list) and "items" in rule:
        for index, item in enumerate(value):
            found += faults(item, rule["items"], root, f"{path}/{index}")
    if isinstance(value, dict):
        for key, item in value.items():
            inner = rule.get("properties", {}).get(key, rule.get("additionalProperties", {}))
            if inner is False:
                found.append(f"{path}/{key}")
            else:
                found += faults(item, inner, root, f"{path}/{key}")
    return found


def own_faults(value: Any, rule: dict[str, Any], path: str) -> Iterator[str]:
    names = rule.get("type", [])
    names = [names] if isinstance(names, str) else names
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if names and not any(
        isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
        for name in names
    ):
        yield path
    if "enum" in rule and value not in rule["enum"]:
        yield path
    if isinstance(value, str) and not re.search(rule.get("pattern", ""), value):
        yield path
    if is_number and not rule.get("minimum", value) <= value <= rule.get("maximum", value):
        yield path
    if isinstance(value, list) and len(value) < rule.get("minItems", 0):
        yield path
    if isinstance(value, dict) and not set(rule.get("required", [])) <= value.keys():
        yield path


@pytest.fixture
def root(registry: Registry) -> dict[str, Any]:
    return dict(schema(registry))


def test_a_sound_configuration_fits_the_schema(good: str, root: dict[str, Any]) -> None:
    assert faults(plain(parse(good, "good")), root, root) == []


WITH_HTTP_FILTERS = (
    "listeners: [{{name: a, address: 127.0.0.1:1, filters: [http: {{http_filters: {}}}]}}]"
)


def test_mistakes_do_not_fit(bad: str, root: dict[str, Any]) -> None:
    found = set(faults(plain(parse(bad, "bad")), root, root))
    assert {"/drian", "/listeners/0/adress", "/clusters/0/lb_policy"} <= found
    assert "/clusters/0/drain" in found


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("drain: {time: 5s}", True),
        ("drain: {time: 0}", True),
        ("drain: {time: 5}", False),
        ("drain: {time: 5 parsecs}", False),
        ("drain: {strategy: never}", False),
        ("admin: ~", True),
        ("admin: {}", False),
        ("hot_restart: {allow_uids: [-1]}", False),
        ("hot_restart: {allow_uids: [true]}", False),
        ("clusters: [{name: a, endpoints: {}}]", False),
        ("clusters: [{name: a, endpoints: [127.0.0.1:1, {address: 127.0.0.1:2}]}]", True),
        ("listeners: [{name: a, address: 127.0.0.1:1, filters: [{http: {}}]}]", True),
        ("listeners: [{name: a, address: 127.0.0.1:1, filters: [{tcp: {}}]}]", False),
        (WITH_HTTP_FILTERS.format("[]"), False),
        (WITH_HTTP_FILTERS.format("[answer: {}]"), True),
        ("listeners: [{name: a, address: 127.0.0.1:1, filters: [{udp: {}}]}]", False),
    ],
)
def test_the_schema_knows_types_units_and_filters(
    root: dict[str, Any], text: str, *, fits: bool
) -> None:
    assert (faults(plain(parse(text, "text")), root, root) == []) is fits


def test_each_field_has_a_meaning_and_unless_it_is_required_a_default(root: dict[str, Any]) -> None:
    parts = [root, *root["$defs"].values()]
    assert len(parts) > 20
    for part in parts:
        for name, field in part["properties"].items():
            assert field["description"], name
            assert ("default" in field) != (name in part["required"]), name


def test_a_default_is_what_a_file_would_say(root: dict[str, Any]) -> None:
    drain = root["$defs"]["Drain"]
    assert drain["properties"]["time"]["default"] == "10m"
    assert drain["properties"]["time"]["unit"] == "duration"
    assert list(drain["properties"]) == list(fields_of(Drain))


def test_no_two_classes_share_a_name() -> None:
    """By it a definition is found, and in the reference a section."""
    parts: dict[type, str] = {}
    collect(Config, "", parts)
    for kind in KINDS:
        for part in REGISTRY.of(kind).values():
            collect(part, "", parts)
    names = Counter(part.__name__ for part in parts)
    assert [name for name, times in names.items() if times > 1] == []
