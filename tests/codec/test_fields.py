from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.codec import fields, marks
from trioproxy.codec.errors import MalformedMessage, UnsafeMessage

if TYPE_CHECKING:
    from trioproxy.headers import Field


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"Accept: a/b", (b"accept", b"a/b")),
        (b"a:", (b"a", b"")),
        (b"a: \t ", (b"a", b"")),
        (b"a:b:c", (b"a", b"b:c")),
        (b"A:\tb\tc \t", (b"a", b"b\tc")),
        (b"x!#$%&'*+-.^_`|~0Z: y", (b"x!#$%&'*+-.^_`|~0z", b"y")),
        (b"a: \x80\xff", (b"a", b"\x80\xff")),
    ],
)
def test_a_line_is_a_name_and_a_trimmed_value(line: bytes, field: Field) -> None:
    reader = fields.FieldReader(marks.OF_REQUESTS)
    assert reader(line)[0] == field
    assert reader(line)[0] == field, "a remembered name decides the same"
    assert fields.read_field(line) == field


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"a",
        b":",
        b": b",
        b" : b",
        b"a : b",
        b"a\t: b",
        b" a: b",
        b"\ta: b",
        b"a b: c",
        b"a\x00: b",
        b"a\xe9: b",
        b"a(: b",
        b'"a": b',
        b"a[]: b",
        b"a/b: c",
        b"a: b\x00",
        b"a: b\rc",
        b"a: b\nc",
        b"a: b\n",
        b"\na: b",
        b"\ra: b",
        b"a\r: b",
        b"a: \x0b",
        b"a: \x1f",
        b"a: \x7f",
        b"a:\x0cb",
        b"accept",
    ],
)
def test_what_is_no_field_is_refused(line: bytes) -> None:
    reader = fields.FieldReader(marks.OF_REQUESTS)
    reader(b"a: known")
    reader(b"accept: known")
    with pytest.raises(MalformedMessage):
        reader(line)
    with pytest.raises(MalformedMessage):
        fields.read_field(line)


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Basic eDp5",
        b"PROXY-AUTHORIZATION: x",
        b"Cookie: a=b",
        b"Set-Cookie: a=b",
        b"X-Api-Key: x",
        b"X-CSRF-Token: x",
        b"X-Request-Id: x",
        b"X-Forwarded-For: 192.0.2.1",
        b"Forwarded: for=192.0.2.1",
        b"Accept: " + b"x" * 200,
    ],
)
def test_what_identifies_somebody_is_not_remembered(line: bytes) -> None:
    field, keep = fields.FieldReader(marks.OF_REQUESTS)(line)
    assert not keep
    assert isinstance(field, tuple)
    assert not fields.FieldWriter(marks.OF_REQUESTS)(field)[1]


@pytest.mark.parametrize("line", [b"Accept: */*", b"Host: x", b"X-Forwarded-Proto: https"])
def test_what_keeps_coming_back_is_remembered(line: bytes) -> None:
    assert fields.FieldReader(marks.OF_REQUESTS)(line)[1]


@pytest.mark.parametrize(
    "field",
    [
        (b"", b"x"),
        (b"A", b"x"),
        (b"a b", b"x"),
        (b"a:", b"x"),
        (b"a\r\nb", b"x"),
        (b"a", b"x\r\ny: z"),
        (b"a", b"x\r"),
        (b"a", b"x\n"),
        (b"a", b"\x00"),
        (b"content-length", b"5"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"),
        (b"host", b"x"),
    ],
)
def test_nothing_else_than_one_field_is_written(field: Field) -> None:
    with pytest.raises(UnsafeMessage):
        fields.FieldWriter(marks.OF_REQUESTS)(field)


def test_a_field_is_written_as_a_line() -> None:
    line, keep = fields.FieldWriter(marks.OF_REQUESTS)((b"accept", b"a/b, \xff"))
    assert line == b"accept: a/b, \xff\r\n"
    assert keep
