"""The load generators: wrk, redis-benchmark, a bulk receiver. An error or a short count raises."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from benchmarks.process import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 32
WRK_SCRIPT = Path(__file__).parent / "templates/wrk.lua"
# `ECHO` of 43 bytes is 64 bytes on the wire.
ECHO = ("ECHO", "x" * 43)
CHUNK_BYTES = 1024 * 1024
MEGABYTE = 1_000_000


@attrs.frozen
class Load:
    """What a load generator counted: operations that ended well, and latency where it is told."""

    operations: float
    p50_us: int = 0
    p99_us: int = 0


def wrk(
    url: str,
    seconds: float,
    *,
    headers: Sequence[str] = (),
    upload: int = 0,
    response_bytes: int = 0,
    prefix: Sequence[str] = (),
) -> Load:
    """Keep-alive requests over 32 connections; `prefix` runs wrk under another program."""
    stop = ["timeout", "--preserve-status", "--signal", "INT", f"{seconds:.2f}"]
    command = [*prefix, *stop, "wrk", "-t", "1", "-c", str(CONNECTIONS), "-s", str(WRK_SCRIPT)]
    command += ["-d", "1h", "--timeout", "5s"]  # its own duration knows whole seconds only
    for header in headers:
        command += ["-H", header]
    command += [url, "--", "POST" if upload else "GET", str(upload)]
    return parse_wrk(run(command, seconds + 30), response_bytes)


def parse_wrk(output: str, response_bytes: int = 0) -> Load:
    """Read the JSON line of `wrk.lua`; raises BenchError for any error or a short answer."""
    try:
        told = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise BenchError(f"wrk said nothing readable:\n{output}") from None
    errors = {kind: count for kind, count in told["errors"].items() if count}
    if errors:
        raise BenchError(f"wrk counted errors in {told['requests']} requests: {errors}")
    if not told["requests"]:
        raise BenchError("wrk got no answer")
    if told["bytes"] < told["requests"] * response_bytes:
        raise BenchError(f"bodies are too short: {told['bytes']} bytes, {told['requests']} answers")
    return Load(told["requests"], told["p50_us"], told["p99_us"])


def redis_benchmark(port: int, seconds: float, *, keep_alive: bool) -> Load:
    """64 B round trips over 32 connections; each on a new connection without `keep_alive`."""
    count = 20_000 if keep_alive else 4_000
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "--csv"]
    command += ["-c", str(CONNECTIONS), "-n", str(count), "-k", str(int(keep_alive)), *ECHO]
    done, end = 0, time.monotonic() + seconds
    while not done or time.monotonic() < end:
        check_redis(run(command, 60))
        done += count
    return Load(done)


def check_redis(output: str) -> None:
    """Raises BenchError unless redis-benchmark printed its result, and nothing of an error."""
    if "rror" in output or not re.search(r'^"ECHO [^"]*","[1-9]', output, re.MULTILINE):
        raise BenchError(f"redis-benchmark failed:\n{output}")


def bulk(port: int, seconds: float, expected: int) -> Load:
    """Downloads one after the other through L4, dropped in the kernel; an operation is a MB."""
    received, end = 0, time.monotonic() + seconds
    while not received or time.monotonic() < end:
        received += download(port, expected)
    return Load(received / MEGABYTE)


def download(port: int, expected: int) -> int:
    """Bytes of one body of `expected` bytes; raises BenchError when it ends early."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"GET /bulk HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += receive(sock, 1)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"the origin did not answer with 200: {head!r}")
        buffer, left = bytearray(CHUNK_BYTES), expected
        while left:
            got = sock.recv_into(buffer, CHUNK_BYTES, socket.MSG_TRUNC)
            if not got:
                raise BenchError(f"a download ended {left} bytes early")
            left -= got
        if sock.recv(1):
            raise BenchError("a download was longer than its origin")
    return expected


def receive(sock: socket.socket, count: int) -> bytes:
    """At most `count` bytes; raises BenchError at the end of the stream."""
    data = sock.recv(count)
    if not data:
        raise BenchError("the connection ended before the response head")
    return data


def run(command: Sequence[str], timeout: float) -> str:
    """What the program printed, errors included; raises BenchError when it fails."""
    try:
        ended = subprocess.run(
            command,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} did not end within {timeout:g} s") from None
    if ended.returncode:
        raise BenchError(f"{command[0]} ended with {ended.returncode}:\n{ended.stdout}")
    return ended.stdout
