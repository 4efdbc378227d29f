from __future__ import annotations

import pytest

from trioproxy.headers import Headers


def test_names_are_case_insensitive_and_order_is_kept() -> None:
    headers = Headers([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    assert headers.get("A") == "1"
    assert headers.get_all("a") == ["1", "3"]
    assert list(headers) == [("a", "1"), ("b", "2"), ("a", "3")]
    assert "B" in headers
    assert "c" not in headers
    assert headers.get("c", "none") == "none"
    assert headers.get("c") is None


def test_set_replaces_every_value() -> None:
    headers = Headers([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    headers.set("A", " 4 ")
    assert headers.fields == [(b"b", b"2"), (b"a", b"4")]


def test_a_copy_is_independent() -> None:
    headers = Headers([(b"a", b"1")])
    other = headers.copy()
    other.add("b", "2")
    other.remove("a")
    assert headers.fields == [(b"a", b"1")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "x"), ("a b", "x"), ("a:", "x"), ("a", "x\r\nb: c"), ("a", "x\0"), ("a\n", "x")],
)
def test_nothing_that_could_split_a_message_gets_in(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header field"):
        Headers().add(name, value)
