from __future__ import annotations

import pytest

from trioproxy.accesslog.origin import Origin
from trioproxy.accesslog.record import Record
from trioproxy.codec.messages import Request
from trioproxy.config.headers import UNCHANGED, HeaderOperations
from trioproxy.filters.http.header_operations import compile_operations
from trioproxy.headers import Headers

RECORD = Record(1700000000.123, 0.0)
RECORD.request = Request(headers=Headers([(b"x-client", b"me"), (b"x-real-ip", b"forged")]))
RECORD.downstream_remote = "192.0.2.7:50000"


def changed(*levels: HeaderOperations, fields: str = "a: 1, b: 2, a: 3") -> str:
    """Apply `levels` to fields and return the fields, both as `name: value, ...`."""
    headers = Headers()
    for field in filter(None, fields.split(", ")):
        headers.add(*field.split(": "))
    change = compile_operations(levels, Origin(hostname="edge-1"))
    assert change is not None
    change(headers, RECORD)
    return ", ".join(f"{name}: {value}" for name, value in headers)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        (HeaderOperations(add={"A": "4"}), "a: 1, b: 2, a: 3, a: 4"),
        (HeaderOperations(set={"A": "4"}), "b: 2, a: 4"),
        (HeaderOperations(set={"C": "4"}), "a: 1, b: 2, a: 3, c: 4"),
        (HeaderOperations(remove=("A", "none")), "b: 2"),
        (HeaderOperations(remove=("b",), set={"a": "4"}, add={"a": "5", "b": "6"}),
         "a: 4, a: 5, b: 6"),
    ],
)  # fmt: skip
def test_one_level(operations: HeaderOperations, expected: str) -> None:
    assert changed(operations) == expected


def test_the_most_specific_level_has_the_last_word() -> None:
    manager = HeaderOperations(set={"x": "manager", "y": "manager"}, add={"z": "manager"})
    host = HeaderOperations(set={"x": "host"}, add={"z": "host"})
    route = HeaderOperations(remove=("y",), add={"z": "route"})
    assert changed(manager, host, route, fields="x: client, y: client") == (
        "z: manager, x: host, z: host, z: route"
    )


def test_nothing_to_do_is_none() -> None:
    assert compile_operations([UNCHANGED, UNCHANGED]) is None


def test_values_of_the_exchange() -> None:
    operations = HeaderOperations(
        set={
            "x-real-ip": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            "x-begun": "%START_TIME(%s.%3f)%",
            "x-via": "%HOSTNAME% for %REQ(X-CLIENT)%, 100%%",
        }
    )
    assert changed(operations, fields="x-real-ip: forged") == (
        "x-real-ip: 192.0.2.7, x-begun: 1700000000.123, x-via: edge-1 for me, 100%"
    )


def test_a_field_can_be_made_of_the_one_that_it_replaces() -> None:
    headers = RECORD.request.headers.copy()  # type: ignore[union-attr]
    operations = HeaderOperations(remove=("x-client",), set={"x-who": "%REQ(X-CLIENT)%"})
    record = Record(0.0, 0.0)
    record.request = Request(headers=headers)
    change = compile_operations([operations])
    assert change is not None
    change(headers, record)
    assert list(headers) == [("x-real-ip", "forged"), ("x-who", "me")]


def test_an_empty_value_leaves_the_field_out_and_never_the_clients_own() -> None:
    operations = HeaderOperations(set={"x-real-ip": "%REQ(X-NONE)%"}, add={"c": "%PROTOCOL%"})
    assert changed(operations, fields="x-real-ip: forged, a: 1") == "a: 1"


def test_a_value_never_breaks_a_message() -> None:
    record = Record(0.0, 0.0)
    record.downstream_remote = "@a\r\nset-cookie: x\0\u20ac "
    change = compile_operations([HeaderOperations(set={"x": "%DOWNSTREAM_REMOTE_ADDRESS%"})])
    assert change is not None
    headers = Headers()
    change(headers, record)
    assert headers.fields == [(b"x", b"@aset-cookie: x?")]


def test_messages_that_share_a_list_of_fields_are_not_confused() -> None:
    shared = [(b"a", b"1")]
    headers = Headers(shared)
    change = compile_operations([HeaderOperations(set={"a": "2"})])
    assert change is not None
    change(headers, RECORD)
    assert shared == [(b"a", b"1")]


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown operator %NOPE%"):
        compile_operations([HeaderOperations(add={"a": "%NOPE%"})])
