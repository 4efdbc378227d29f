"""The load generators. An error or a short count raises."""

from __future__ import annotations

import json
import math
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.process import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 32
WRK_SCRIPT = Path(__file__).parent / "templates/wrk.lua"
# `ECHO` of 43 bytes is 64 bytes on the wire.
ECHO = ("ECHO", "x" * 43)
BULK_CONNECTIONS = 4
CHUNK_BYTES = 1024 * 1024
MEGABYTE = 1_000_000
PATIENCE = 60.0


def wrk(
    url: str,
    seconds: float,
    *,
    headers: Sequence[str] = (),
    upload: int = 0,
    response_bytes: int = 0,
    under: Sequence[str] = (),
) -> int:
    """Count keep-alive requests over 32 connections; `under` runs wrk under another program.

    An upload is a POST of so many bytes; every answer has at least `response_bytes`.
    """
    command = [*under, "wrk", "-t", "1", "-c", str(CONNECTIONS), "-s", str(WRK_SCRIPT)]
    command += ["-d", f"{math.ceil(seconds)}s", "--timeout", "5s"]
    for header in headers:
        command += ["-H", header]
    command += [url, "--", "POST" if upload else "GET", str(upload)]
    # wrk knows whole seconds only; interrupted it stops and reports what it did.
    return parse_wrk(run(command, interrupt_after=None if under else seconds), response_bytes)


def parse_wrk(output: str, response_bytes: int = 0) -> int:
    """Read the JSON line of `wrk.lua`; raises BenchError for any error or a short answer."""
    try:
        told = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise BenchError(f"wrk said nothing readable:\n{output}") from None
    requests: int = told["requests"]
    errors = {kind: count for kind, count in told["errors"].items() if count}
    if errors:
        raise BenchError(f"wrk counted errors in {requests} requests: {errors}")
    if not requests:
        raise BenchError("wrk got no answer")
    if told["bytes"] < requests * response_bytes:
        raise BenchError(f"bodies are too short: {told['bytes']} bytes, {requests} answers")
    return requests


def h2load(url: str, seconds: float) -> int:
    """Count HTTP/2 requests over 8 connections of 8 streams each."""
    chunk = 4_000
    command = ["h2load", "-n", str(chunk), "-c", "8", "-m", "8", url]
    done, end = 0, time.monotonic() + seconds
    while not done or time.monotonic() < end:
        check_h2load(run(command), chunk)
        done += chunk
    return done


def check_h2load(output: str, count: int) -> None:
    """Raise BenchError unless so many requests had an answer of status 2xx."""
    if f"{count} succeeded, 0 failed, 0 errored, 0 timeout" not in output:
        raise BenchError(f"h2load had failures:\n{output}")
    if f"status codes: {count} 2xx" not in output:
        raise BenchError(f"h2load had other answers:\n{output}")


def redis_benchmark(port: int, seconds: float, *, keep_alive: bool) -> int:
    """Count 64 B round trips over 32 connections; without `keep_alive` each on a new one."""
    chunk = 20_000 if keep_alive else 4_000
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "--csv"]
    command += ["-c", str(CONNECTIONS), "-n", str(chunk), "-k", str(int(keep_alive)), *ECHO]
    done, end = 0, time.monotonic() + seconds
    while not done or time.monotonic() < end:
        check_redis(run(command))
        done += chunk
    return done


def check_redis(output: str) -> None:
    """Raises BenchError unless redis-benchmark printed its result, and nothing of an error."""
    if "rror" in output or not re.search(r'^"ECHO [^"]*","[1-9]', output, re.MULTILINE):
        raise BenchError(f"redis-benchmark failed:\n{output}")


def bulk(port: int, seconds: float, body_bytes: int) -> float:
    """Megabytes received through L4 over four connections, dropped in the kernel."""
    end = time.monotonic() + seconds

    def receive_until_end(_index: int) -> int:
        received = download(port, body_bytes)
        while time.monotonic() < end:
            received += download(port, body_bytes)
        return received

    with ThreadPoolExecutor(BULK_CONNECTIONS) as pool:
        return sum(pool.map(receive_until_end, range(BULK_CONNECTIONS))) / MEGABYTE


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


def run(command: Sequence[str], interrupt_after: float | None = None) -> str:
    """What the program printed, errors included; raises BenchError when it fails or hangs."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output = output_of(process, interrupt_after)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} did not end within {PATIENCE} s") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise BenchError(f"{command[0]} ended with {process.returncode}:\n{output}")
    return output


def output_of(process: subprocess.Popen[str], interrupt_after: float | None) -> str:
    """Wait for the end, which an interrupt may ask for; raises TimeoutExpired."""
    if interrupt_after is not None:
        try:
            return process.communicate(timeout=interrupt_after)[0]
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
    return process.communicate(timeout=PATIENCE)[0]
