"""Compiles what a route asks of a request into one test."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from trioproxy.config.route import HeaderMatch, QueryParameterMatch, RouteMatch, ValueMatch
    from trioproxy.headers import Headers

Test = Callable[[str, str, str, "Headers"], bool]
"""(path without query, query, method, headers) -> whether the request will do."""


def compile_match(match: RouteMatch) -> Test:
    """Return the test that holds where everything that `match` asks for does."""
    tests = [_path_test(match)]
    if match.methods:
        tests.append(_method_test(frozenset(match.methods)))
    tests += map(_header_test, match.headers)
    tests += map(_query_test, match.query_parameters)
    return reduce(_both, tests)


def _both(one: Test, other: Test) -> Test:
    return lambda path, query, method, headers: (
        one(path, query, method, headers) and other(path, query, method, headers)
    )


def _path_test(match: RouteMatch) -> Test:
    if match.connect:
        return _method_test(frozenset({"CONNECT"}))
    if match.regex is not None:
        fullmatch = match.regex.fullmatch
        return lambda path, _query, _method, _headers: fullmatch(path) is not None
    if match.case_sensitive:
        return _sensitive_test(match.prefix, match.path)
    return _insensitive_test(match.prefix, match.path)


def _sensitive_test(prefix: str | None, whole: str | None) -> Test:
    if prefix is not None:
        return lambda path, _query, _method, _headers: path.startswith(prefix)
    return lambda path, _query, _method, _headers: path == whole


def _insensitive_test(prefix: str | None, whole: str | None) -> Test:
    test = _sensitive_test(prefix and prefix.lower(), whole and whole.lower())
    return lambda path, query, method, headers: test(path.lower(), query, method, headers)


def _method_test(methods: frozenset[str]) -> Test:
    return lambda _path, _query, method, _headers: method in methods


def _header_test(match: HeaderMatch) -> Test:
    name, holds = match.name.lower().encode(), _value_test(match)

    def test(_path: str, _query: str, _method: str, headers: Headers) -> bool:
        values = [value for field, value in headers.fields if field == name]
        return holds(b",".join(values).decode("latin-1") if values else None)

    return test


def _query_test(match: QueryParameterMatch) -> Test:
    name, holds = match.name, _value_test(match)

    def test(_path: str, query: str, _method: str, _headers: Headers) -> bool:
        pairs = parse_qsl(query, keep_blank_values=True)
        return holds(next((value for key, value in pairs if key == name), None))

    return test


def _value_test(match: ValueMatch) -> Callable[[str | None], bool]:
    """Return the test of a value, None where there is none; that fails all but `present: false`."""
    if match.present is False:
        return lambda value: (value is None) != match.invert
    holds = _text_test(match)
    return lambda value: (value is not None and holds(value)) != match.invert


def _text_test(match: ValueMatch) -> Callable[[str], bool]:
    exact, prefix, suffix, part = match.exact, match.prefix, match.suffix, match.contains
    if exact is not None:
        return lambda value: value == exact
    if prefix is not None:
        return lambda value: value.startswith(prefix)
    if suffix is not None:
        return lambda value: value.endswith(suffix)
    if part is not None:
        return lambda value: part in value
    if match.regex is not None:
        fullmatch = match.regex.fullmatch
        return lambda value: fullmatch(value) is not None
    return lambda _value: True
