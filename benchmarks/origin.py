"""The one origin behind every proxy: nginx for HTTP and bulk, Redis for L4 round trips."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import socket
from typing import TYPE_CHECKING

import attrs

from benchmarks.process import BenchError, running, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL_BODY = b"hello, world\n"
BODY_BYTES = 64 * 1024
BULK_BYTES = 256 * 1024 * 1024

# `/upload` goes through nginx's own request buffering, so that the answer starts when the whole
# request body was read: an answer that overtakes the body makes some proxies drop the connection.
NGINX = """
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
error_log stderr error;
pid nginx.pid;
events {{ worker_connections 8000; }}
http {{
  access_log off;
  default_type text/plain;
  sendfile on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  client_body_buffer_size 128k;
  upstream self {{ server unix:received.sock; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen 127.0.0.1:{http2_port} http2;
    root files;
    location = / {{ return 200 "{small}"; }}
    location = /upload {{
      proxy_pass http://self;
      proxy_http_version 1.1;
      proxy_pass_request_body off;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_set_header X-Received $request_length;
    }}
    location = /count {{ stub_status; }}
  }}
  server {{
    listen unix:received.sock;
    location / {{ return 200 "$http_x_received\\n"; }}
  }}
}}
"""

REDIS = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxclients", "8000"]


@attrs.frozen
class Origin:
    """Where the origin listens, and how it says what reached it."""

    http: int
    http2: int
    redis: int
    body: bytes

    def requests(self) -> int:
        """HTTP requests answered so far, this question included."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/count")
            return parse_request_count(connection.getresponse().read().decode())

    def commands(self) -> int:
        """Redis commands answered so far."""
        with socket.create_connection(("127.0.0.1", self.redis), timeout=5) as redis:
            redis.sendall(b"INFO stats\r\n")
            found = re.search(rb"total_commands_processed:(\d+)", redis.recv(65536))
        if not found:
            raise BenchError("Redis does not say how many commands it answered")
        return int(found[1])


def parse_request_count(page: str) -> int:
    """The third figure of nginx's stub_status: requests."""
    found = re.search(r"^\s*\d+ \d+ (\d+)\s*$", page, re.MULTILINE)
    if not found:
        raise BenchError(f"the origin's request count is unreadable: {page!r}")
    return int(found[1])


@contextlib.contextmanager
def open_origin(core: int, directory: Path) -> Iterator[Origin]:
    """Run nginx and Redis on `core` until the context ends."""
    for name in ("nginx/files", "nginx/body", "redis"):
        (directory / name).mkdir(parents=True)
    http_port, http2_port, redis_port = free_ports(3)
    origin = Origin(http_port, http2_port, redis_port, make_files(directory / "nginx/files"))
    config = directory / "nginx/nginx.conf"
    config.write_text(
        NGINX.format(
            port=http_port,
            http2_port=http2_port,
            user=nginx_user(),
            small=SMALL_BODY.decode().strip() + r"\n",
        )
    )
    nginx = ["nginx", "-p", config.parent, "-c", config, "-e", "stderr"]
    redis = ["redis-server", "--port", str(redis_port), *REDIS]
    with (
        running(nginx, core, directory / "nginx") as nginx_program,
        running(redis, core, directory / "redis") as redis_program,
    ):
        wait_until(nginx_program, lambda: accepts(http_port), 10)
        wait_until(redis_program, lambda: accepts(redis_port), 10)
        yield origin


def make_files(directory: Path) -> bytes:
    """Write the files that are served; returns the bytes of the 64 KiB one."""
    body = random.Random(64).randbytes(BODY_BYTES)
    (directory / "body").write_bytes(body)
    with (directory / "bulk").open("wb") as bulk:
        bulk.truncate(BULK_BYTES)
    return body


def nginx_user() -> str:
    """Started as root nginx would give its workers to a user that cannot read the files."""
    return "user root;" if os.getuid() == 0 else ""


def accepts(port: int) -> bool:
    """Whether something listens on the loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, held together so that they differ."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in found:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in found]
