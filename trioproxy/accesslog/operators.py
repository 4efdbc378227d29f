"""The `%OPERATOR%`s: for each name, the function that reads its value from a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from trioproxy.accesslog.record import Agreed, Record
from trioproxy.accesslog.start_time import ISO_8601, compile_start_time

if TYPE_CHECKING:
    from trioproxy.accesslog.origin import Origin

Value = str | int | None
Fields = Mapping[bytes, bytes]
"""The first value of each header field; made once a line, however many operators read it."""

Get = Callable[[Record, Fields, Fields], Value]
"""(record, fields of the request, fields of the response) -> value; None where there is none."""


def find_operator(name: str, argument: str | None, origin: Origin) -> Get:
    """Return what reads the operator's value.

    Raises ValueError naming an operator that does not exist or an argument that does not fit.
    """
    if name in PARAMETRIC:
        return PARAMETRIC[name](argument or "")
    get = PLAIN.get(name) or _constants(origin).get(name)
    if get is None:
        raise ValueError(f"unknown operator %{name}%")
    if argument is not None:
        raise ValueError(f"operator %{name}% takes no argument, found ({argument})")
    return get


def _start_time(argument: str) -> Get:
    render = compile_start_time(argument or ISO_8601)
    return lambda record, _request, _response: render(record.start_time)


REQUEST_LINE: dict[str, Get] = {
    ":method": lambda record, *_: record.request.method if record.request else None,
    ":path": lambda record, *_: record.request.path if record.request else None,
    ":authority": lambda record, *_: record.request.authority if record.request else None,
    ":scheme": lambda record, *_: record.request.scheme if record.request else None,
}
REQUEST_LINE["host"] = REQUEST_LINE[":authority"]
STATUS_LINE: dict[str, Get] = {":status": lambda record, *_: record.status}


def _request_header(argument: str) -> Get:
    return _either("REQ", argument, _request_field)


def _response_header(argument: str) -> Get:
    return _either("RESP", argument, _response_field)


def _either(operator: str, argument: str, read: Callable[[str], Get]) -> Get:
    """Return what reads `X`, or `X?Y`: Y where there is no X."""
    names = argument.lower().split("?")
    if len(names) > 2 or not all(names):
        raise ValueError(f"%{operator}({argument})% is not %{operator}(X)% or %{operator}(X?Y)%")
    if len(names) == 1:
        return read(names[0])
    first, second = map(read, names)

    def get(record: Record, request: Fields, response: Fields) -> Value:
        value = first(record, request, response)
        return second(record, request, response) if value is None else value

    return get


def _request_field(name: str) -> Get:
    if name in REQUEST_LINE:
        return REQUEST_LINE[name]
    wanted = _wire_name(name)

    def get(_record: Record, request: Fields, _response: Fields) -> Value:
        value = request.get(wanted)
        return None if value is None else value.decode("latin-1")

    return get


def _response_field(name: str) -> Get:
    if name in STATUS_LINE:
        return STATUS_LINE[name]
    wanted = _wire_name(name)

    def get(_record: Record, _request: Fields, response: Fields) -> Value:
        value = response.get(wanted)
        return None if value is None else value.decode("latin-1")

    return get


def _wire_name(name: str) -> bytes:
    if name.startswith(":"):
        raise ValueError(f"no pseudo-header {name!r}")
    return name.encode()


def _milliseconds(start: float, end: float | None) -> int | None:
    return None if end is None else int((end - start) * 1000)


def _ip(address: str | None) -> str | None:
    """Return an address without its port; a path has none."""
    if address is None or address.startswith(("/", "@", "unix:")):
        return address
    return address.rpartition(":")[0].strip("[]")


def _port(address: str | None) -> int | None:
    if address is None or address.startswith(("/", "@", "unix:")):
        return None
    return int(address.rpartition(":")[2])


def _cipher(tls: Agreed | None) -> str | None:
    agreed = tls.cipher() if tls else None
    return agreed[0] if agreed else None


def _constants(origin: Origin) -> dict[str, Get]:
    return {
        "HOSTNAME": lambda *_: origin.hostname,
        "RESTART_EPOCH": lambda *_: origin.epoch,
        "WORKER": lambda *_: origin.worker,
    }


PARAMETRIC: dict[str, Callable[[str], Get]] = {
    "START_TIME": _start_time,
    "REQ": _request_header,
    "RESP": _response_header,
}

PLAIN: dict[str, Get] = {
    "PROTOCOL": lambda record, _request, _response: record.protocol,
    "RESPONSE_CODE": lambda record, _request, _response: record.status,
    "RESPONSE_CODE_DETAILS": lambda record, *_: record.details,
    "RESPONSE_FLAGS": lambda record, _request, _response: record.flags,
    "ROUTE_NAME": lambda record, *_: record.route,
    "BYTES_RECEIVED": lambda record, _request, _response: record.bytes_received,
    "BYTES_SENT": lambda record, _request, _response: record.bytes_sent,
    "DURATION": lambda record, _request, _response: _milliseconds(record.started, record.ended),
    "REQUEST_DURATION": lambda record, *_: _milliseconds(record.started, record.request_received),
    "RESPONSE_DURATION": lambda record, *_: _milliseconds(record.started, record.response_started),
    "RESPONSE_TX_DURATION": lambda record, *_: (
        None
        if record.response_started is None
        else _milliseconds(record.response_started, record.ended)
    ),
    "CONNECTION_ID": lambda record, *_: record.connection_id,
    "REQUESTED_SERVER_NAME": lambda record, *_: record.server_name,
    "DOWNSTREAM_TLS_VERSION": lambda record, *_: record.tls.version() if record.tls else None,
    "DOWNSTREAM_TLS_CIPHER": lambda record, *_: _cipher(record.tls),
    "DOWNSTREAM_REMOTE_ADDRESS": lambda record, *_: record.downstream_remote,
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": lambda record, *_: _ip(record.downstream_remote),
    "DOWNSTREAM_REMOTE_PORT": lambda record, *_: _port(record.downstream_remote),
    "DOWNSTREAM_LOCAL_ADDRESS": lambda record, *_: record.downstream_local,
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": lambda record, *_: _ip(record.downstream_local),
    "DOWNSTREAM_LOCAL_PORT": lambda record, *_: _port(record.downstream_local),
    "UPSTREAM_CLUSTER": lambda record, *_: record.cluster,
    "UPSTREAM_HOST": lambda record, _request, _response: record.upstream_host,
    "UPSTREAM_REMOTE_ADDRESS": lambda record, *_: record.upstream_host,
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": lambda record, *_: _ip(record.upstream_host),
    "UPSTREAM_REMOTE_PORT": lambda record, *_: _port(record.upstream_host),
    "UPSTREAM_LOCAL_ADDRESS": lambda record, *_: record.upstream_local,
    "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": lambda record, *_: _ip(record.upstream_local),
    "UPSTREAM_LOCAL_PORT": lambda record, *_: _port(record.upstream_local),
    "UPSTREAM_TRANSPORT_FAILURE_REASON": lambda record, *_: record.upstream_failure,
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": lambda record, *_: record.attempts,
}
