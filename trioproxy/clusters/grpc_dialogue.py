"""A health check over gRPC: a call of grpc.health.v1.Health/Check, which has to say SERVING.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
Its messages are so small that they are written and read here, by protobuf's encoding:

    message HealthCheckRequest { string service = 1; }
    message HealthCheckResponse { ServingStatus status = 1; }  # an enum: a varint
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

from trioproxy.clusters.http2_line import MOST, Http2Line
from trioproxy.clusters.http_dialogue import USER_AGENT
from trioproxy.clusters.probe import CheckFailed, Failure
from trioproxy.codec.messages import Request

if TYPE_CHECKING:
    from trio.abc import Stream

    from trioproxy.clusters.http2_line import Answer
    from trioproxy.config.cluster import Cluster
    from trioproxy.config.health_check import GrpcCheck

METHOD = "/grpc.health.v1.Health/Check"
CONTENT_TYPE = "application/grpc"
SERVING = 1
STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
PREFIX = 5  # bytes before a message: whether it is compressed, and its length
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how a field is encoded
LONGEST_REASON = 100  # characters: it may quote the host


class GrpcDialogue:
    """Asks whether a service is up; remembers the connection that it last used."""

    def __init__(self, check: GrpcCheck, cluster: Cluster) -> None:
        self._line: Http2Line | None = None
        self._question = frame(write_question(check.service_name))
        self._request = Request(
            method="POST",
            path=METHOD,
            authority=check.authority or cluster.name,
            scheme="http" if cluster.tls is None else "https",
            chunked=True,
            te_trailers=True,
        )
        self._request.headers.set("content-type", CONTENT_TYPE)
        self._request.headers.set("user-agent", USER_AGENT)

    async def __call__(self, stream: Stream) -> bool:
        """Return whether the connection can be used again; raises CheckFailed."""
        if self._line is None or self._line.stream is not stream:
            self._line = Http2Line(stream)
        status = await self._line.ask(self._request, self._question)
        if status != 200:
            unwell(f"status {status}")
        judge(await self._line.rest())
        return self._line.can_ask


def judge(answer: Answer) -> None:
    """Raise CheckFailed where an answer says that the host is not well, or makes no sense."""
    assert answer.head is not None
    if not answer.head.headers.get("content-type", "").startswith(CONTENT_TYPE):
        unwell("no answer of gRPC")
    if len(answer.body) > MOST:
        unwell("an answer that is too long")
    # An answer without a message may have its status in the head.
    said = answer.trailers if "grpc-status" in answer.trailers else answer.head.headers
    code = said.get("grpc-status", "missing")
    if code != "0":
        unwell(f"grpc-status {code} {said.get('grpc-message', '')}".strip())
    try:
        status = read_answer(unframe(answer.body))
    except (ValueError, IndexError):
        unwell("not a HealthCheckResponse")
    if status != SERVING:
        unwell(STATUSES[status] if status < len(STATUSES) else f"serving status {status}")


def unwell(detail: str) -> Never:
    """Raise what says that one such answer is enough."""
    raise CheckFailed(Failure.ACTIVE, detail[:LONGEST_REASON], decisive=True)


def frame(message: bytes) -> bytes:
    """Return a message as gRPC sends it, not compressed."""
    return b"\0" + len(message).to_bytes(4) + message


def unframe(body: bytes) -> bytes:
    """Return the only message of a body; raises ValueError."""
    message = body[PREFIX:]
    if body[:PREFIX] != frame(message)[:PREFIX]:
        raise ValueError("compressed, cut short, or more than one")
    return message


def write_question(service: str) -> bytes:
    """Write a HealthCheckRequest; an empty string is left out, as protobuf has it."""
    name = service.encode()
    return bytes((1 << 3 | BYTES,)) + write_varint(len(name)) + name if name else b""


def read_answer(message: bytes) -> int:
    """Return the status of a HealthCheckResponse; raises ValueError, IndexError."""
    status = at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = read_varint(message, at)
            status = value if key >> 3 == 1 else status
        elif kind == BYTES:
            size, at = read_varint(message, at)
            at += size
        else:
            at += {FIXED64: 8, FIXED32: 4}.get(kind, len(message))
    if at != len(message):
        raise ValueError("cut short")
    return status


def write_varint(number: int) -> bytes:
    """Write a number, seven bits in a byte, the lowest first."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*written, number))


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at `at`, and where it ends; raises IndexError, ValueError."""
    number = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError("a number too long")
