"""The works compared: what is asked of a proxy, and the figure that comes of it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from benchmarks import load
from benchmarks.origin import BODY_BYTES, BULK_BYTES
from benchmarks.process import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.origin import Origin
    from benchmarks.process import Program
    from benchmarks.systems import Ports

IDLE_CONNECTIONS = 2000
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: https://www.example.org/catalogue/things?page=3",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=all",
    "Cache-Control: no-cache",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
)  # and Host: eleven fields


@attrs.frozen
class Target:
    """A proxy that runs and has shown that it answers rightly."""

    program: Program
    ports: Ports
    origin: Origin
    start_seconds: float
    scheme: str = "http"

    def url(self, path: str = "/") -> str:
        return f"{self.scheme}://127.0.0.1:{self.ports.http}{path}"


@attrs.frozen
class Work:
    """One figure to compare; `measure` runs for about the seconds that it is given."""

    name: str
    title: str
    unit: str
    measure: Callable[[Target, float], float]
    protocol: str = "http"  # "tls" downstream, "http2" to the origin, or "l4"
    fresh: bool = False  # a process of its own for each round
    without: str = ""  # the system that cannot do it
    optional: bool = False  # only when asked for


def cpu_per_operation(target: Target, ask: Callable[[], float]) -> float:
    """CPU microseconds of the proxy for each operation that `ask` counts."""
    cpu = target.program.cpu_seconds()
    operations = ask()
    return (target.program.cpu_seconds() - cpu) / operations * 1e6


def reaching(count: Callable[[], int], ask: Callable[[], int]) -> int:
    """What `ask` counts; raises BenchError if the origin, asked by `count`, saw less of it."""
    before = count()
    operations = ask()
    if count() - before < operations:
        raise BenchError(f"{operations} answers counted, but the origin gave fewer")
    return operations


def http_cpu(target: Target, ask: Callable[[], int]) -> float:
    """CPU microseconds a request; raises BenchError if fewer requests reached the origin."""
    return cpu_per_operation(target, lambda: reaching(target.origin.requests, ask))


def http_keepalive(target: Target, seconds: float) -> float:
    return http_cpu(target, lambda: load.wrk(target.url(), seconds))


def http_browser(target: Target, seconds: float) -> float:
    return http_cpu(target, lambda: load.wrk(target.url(), seconds, headers=BROWSER))


def http2(target: Target, seconds: float) -> float:
    return http_cpu(target, lambda: load.h2load(target.url(), seconds))


def http_new_connection(target: Target, seconds: float) -> float:
    headers = ("Connection: close",)
    return http_cpu(target, lambda: load.wrk(target.url(), seconds, headers=headers))


def http_response_body(target: Target, seconds: float) -> float:
    url = target.url("/body")
    return http_cpu(target, lambda: load.wrk(url, seconds, response_bytes=BODY_BYTES))


def http_request_body(target: Target, seconds: float) -> float:
    url = target.url("/upload")
    return http_cpu(target, lambda: load.wrk(url, seconds, upload=BODY_BYTES))


def redis_cpu(target: Target, seconds: float, *, keep_alive: bool) -> float:
    """CPU microseconds a round trip; raises BenchError if fewer commands reached Redis."""

    def ask() -> int:
        return load.redis_benchmark(target.ports.tcp, seconds, keep_alive=keep_alive)

    return cpu_per_operation(target, lambda: reaching(target.origin.commands, ask))


def l4_round_trip(target: Target, seconds: float) -> float:
    return redis_cpu(target, seconds, keep_alive=True)


def l4_new_connection(target: Target, seconds: float) -> float:
    return redis_cpu(target, seconds, keep_alive=False)


def l4_bulk(target: Target, seconds: float) -> float:
    return cpu_per_operation(target, lambda: load.bulk(target.ports.bulk, seconds, BULK_BYTES))


def idle_memory(target: Target, _seconds: float) -> float:
    """KB of process memory for each idle keep-alive connection that was used once."""
    before = target.program.memory()
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            sock = socket.create_connection(("127.0.0.1", target.ports.http), timeout=5)
            stack.enter_context(sock)
            sock.sendall(b"GET / HTTP/1.1\r\nHost: origin\r\n\r\n")
            if not sock.recv(65536).startswith(b"HTTP/1.1 200 "):
                raise BenchError("an idle connection's first request failed")
        return (target.program.memory() - before) / IDLE_CONNECTIONS / 1024


def start(target: Target, _seconds: float) -> float:
    """Milliseconds from the command to the first right answer."""
    return target.start_seconds * 1000


def system_calls(target: Target, seconds: float) -> float:
    """System calls of the process tree per keep-alive request, counted by perf."""
    if not shutil.which("perf"):
        raise BenchError("perf is not installed")
    pids = ",".join(map(str, target.program.tree()))
    with tempfile.NamedTemporaryFile(mode="r") as counted:
        perf = ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", pids]
        requests = load.wrk(target.url(), seconds, under=[*perf, "-o", counted.name, "--"])
        return parse_perf(Path(counted.name).read_text()) / requests


def parse_perf(output: str) -> int:
    """The count in perf's comma-separated output."""
    for line in output.splitlines():
        count, *rest = line.split(",")
        if "raw_syscalls:sys_enter" in rest and count.isdigit():
            return int(count)
    raise BenchError(f"perf counted nothing:\n{output}")


HTTP2 = "HTTP/2, 8 connections x 8 streams"
WORKS = {
    work.name: work
    for work in (
        Work("http_keepalive", "HTTP/1.1 keep-alive", "us/request", http_keepalive),
        Work("http_browser", "... with eleven header fields", "us/request", http_browser),
        Work("http_new", "... new connection per request", "us/request", http_new_connection),
        Work("http_response", "64 KiB response bodies", "us/request", http_response_body),
        Work("http_request", "64 KiB request bodies", "us/request", http_request_body),
        Work("tls_keepalive", "TLS, keep-alive", "us/request", http_keepalive, "tls"),
        Work("tls_new", "... new connection per request", "us/request", http_new_connection, "tls"),
        # nginx speaks either version on a port, without TLS, and HTTP/1.1 alone to origins.
        Work("http2", HTTP2, "us/request", http2, without="nginx"),
        Work("http2_both", "... to HTTP/2", "us/request", http2, "http2", without="nginx"),
        Work("l4_round_trip", "L4 round trip, 64 B", "us/round trip", l4_round_trip, "l4"),
        Work("l4_bulk", "L4 bulk", "us/MB", l4_bulk, "l4"),
        Work("l4_new", "L4 new connection", "us/connection", l4_new_connection, "l4"),
        Work("memory", "idle keep-alive connection", "KB", idle_memory, fresh=True),
        Work("start", "start to first answer", "ms", start, fresh=True),
        Work(
            "syscalls", "HTTP/1.1 keep-alive", "system calls/request", system_calls, optional=True
        ),
    )
}
