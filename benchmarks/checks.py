"""Whether a proxy answers rightly, asked before it is loaded: bodies compared byte by byte."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from typing import TYPE_CHECKING

from benchmarks.origin import BODY_BYTES, SMALL_BODY
from benchmarks.process import BenchError

if TYPE_CHECKING:
    from benchmarks.origin import Origin
    from benchmarks.systems import Ports


def connect(port: int, *, tls: bool = False) -> http.client.HTTPConnection:
    """Connect to a proxy, whoever it says it is."""
    if not tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)


def check_http(ports: Ports, origin: Origin, *, tls: bool = False) -> None:
    """Raises BenchError unless the proxy passes small and large bodies both ways unchanged."""
    connection = connect(ports.http, tls=tls)
    with contextlib.closing(connection):
        expect(connection, "GET", "/", SMALL_BODY)
        expect(connection, "GET", "/body", origin.body)
        connection.request("POST", "/upload", body=origin.body)
        told = connection.getresponse().read()
        if not told.strip().isdigit() or int(told) < BODY_BYTES:
            raise BenchError(f"the origin did not receive the request body: {told!r}")


def check_l4(ports: Ports, origin: Origin) -> None:
    """Raises BenchError unless L4 carries bytes both ways unchanged."""
    connection = http.client.HTTPConnection("127.0.0.1", ports.bulk, timeout=5)
    with contextlib.closing(connection):
        expect(connection, "GET", "/body", origin.body)
    with socket.create_connection(("127.0.0.1", ports.tcp), timeout=5) as redis:
        redis.sendall(b"PING\r\n")
        if redis.recv(64) != b"+PONG\r\n":
            raise BenchError("Redis did not answer through L4")


def expect(connection: http.client.HTTPConnection, method: str, path: str, body: bytes) -> None:
    """Raises BenchError unless the answer is 200 with exactly this body."""
    connection.request(method, path)
    response = connection.getresponse()
    if (response.status, response.read()) != (200, body):
        raise BenchError(f"{method} {path} was answered wrongly: {response.status}")


def answers(port: int, *, tls: bool = False) -> bool:
    """Whether a small file of the origin comes through the port, as HTTP or as L4 to it."""
    connection = connect(port, tls=tls)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/")
            return connection.getresponse().read() == SMALL_BODY
        except (OSError, http.client.HTTPException):
            return False
