"""Messages round-trip; whatever else a peer writes is a BadMessage, never another error."""

from __future__ import annotations

import json
from contextlib import suppress

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.restart.packets import BadMessage
from trioproxy.restart.wire import Vocabulary, encode, structure


@attrs.frozen
class Seat:
    name: str
    row: int


@attrs.frozen
class Book:
    seats: tuple[Seat, ...]
    price: float = attrs.field(validator=attrs.validators.ge(0.0))
    paid: bool = False
    note: str | None = None
    extra: dict[str, object] = attrs.field(factory=dict)


@attrs.frozen
class Cancel:
    reason: str


TICKETS = Vocabulary[Book | Cancel](Book | Cancel)

seats = st.lists(st.builds(Seat, st.text(), st.integers())).map(tuple)
extras = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text())
prices = st.floats(min_value=0.0)
books = st.builds(Book, seats, prices, st.booleans(), st.none() | st.text(), extras)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(books | st.builds(Cancel, st.text()))
def test_every_message_comes_back_as_it_was(message: Book | Cancel) -> None:
    assert TICKETS.decode(encode(message)) == message


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_a_bad_message(body: bytes) -> None:
    with pytest.raises(BadMessage):
        TICKETS.decode(body)


@given(json_values)
def test_a_known_name_with_odd_fields_is_a_message_or_a_bad_message(fields: object) -> None:
    with suppress(BadMessage):
        assert isinstance(TICKETS.decode(json.dumps(["Book", fields]).encode()), Book)


@pytest.mark.parametrize("price", ["-1", "-0.01", "NaN", "-Infinity", "1" + "0" * 400])
def test_what_a_validator_refuses_is_a_bad_message(price: str) -> None:
    with pytest.raises(BadMessage, match=r"price|expected float"):
        TICKETS.decode(f'["Book", {{"seats": [], "price": {price}}}]'.encode())


def test_unknown_fields_are_ignored_and_those_with_a_default_may_be_missing() -> None:
    newer = json.dumps(["Book", {"seats": [], "price": 3, "colour": "red"}]).encode()
    assert TICKETS.decode(newer) == Book((), 3.0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, True),
        (bool, 1),
        (str, 1),
        (float, "1"),
        (int | None, "x"),
        (tuple[int, ...], [1, "x"]),
    ],
)
def test_a_type_that_does_not_fit_is_named(kind: object, value: object) -> None:
    with pytest.raises(BadMessage, match=r"^expected \w+, found"):
        structure(kind, value)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(BadMessage, match="Cancel without 'reason'"):
        TICKETS.decode(b'["Cancel", {}]')


def test_endless_nesting_is_a_bad_message() -> None:
    with pytest.raises(BadMessage):
        TICKETS.decode(b"[" * 200_000)


def test_a_vocabulary_of_one_word() -> None:
    assert Vocabulary[Cancel](Cancel).decode(b'["Cancel", {"reason": "rain"}]') == Cancel("rain")
