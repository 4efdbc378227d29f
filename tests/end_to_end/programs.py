"""Foreign servers, each on a Unix socket in a directory of its own, gone when the block ends."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20.0  # seconds until a server is given up
NGINX = """
daemon off; error_log stderr; pid nginx.pid; worker_processes 1;
events {{}}
http {{
  access_log off; keepalive_requests 500;
  client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0}; uwsgi_temp_path {0};
  scgi_temp_path {0};
  server {{ listen unix:{0}/socket; location / {{ return 200 "hello from nginx\n"; }} }}
}}
"""


@contextmanager
def nginx() -> Iterator[Path]:
    """Run nginx; yields its socket."""
    with _directory() as directory:
        (directory / "nginx.conf").write_text(NGINX.format(directory))
        command = ["/usr/sbin/nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]
        with _serving(command, directory / "socket") as path:
            yield path


@contextmanager
def redis() -> Iterator[Path]:
    """Run a Redis that keeps nothing on disk; yields its socket."""
    with _directory() as directory:
        path = directory / "socket"
        command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", ""]
        with _serving([*command, "--dir", str(directory)], path):
            yield path


@contextmanager
def postgres() -> Iterator[Path]:
    """Run a cluster of PostgreSQL of its own, whose superuser is `test`; yields its socket."""
    programs = max(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    with _directory() as directory:
        data = str(directory / "data")
        initdb = [programs / "initdb", "-D", data, "-U", "test", "-A", "trust", "--no-sync"]
        subprocess.run(
            [*initdb, "--locale=C"], check=True, capture_output=True, cwd=directory, **_as_nobody()
        )
        command = [str(programs / "postgres"), "-D", data, "-k", str(directory), "-F"]
        path = directory / ".s.PGSQL.5432"
        with _serving([*command, "-c", "listen_addresses="], path):
            yield path


def _as_nobody() -> dict[str, object]:
    # PostgreSQL refuses to run as root.
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


@contextmanager
def _directory() -> Iterator[Path]:
    """Make a directory that belongs to who will serve in it; its path is short, as sockets want."""
    directory = Path(tempfile.mkdtemp(prefix="foreign-"))
    try:
        if os.getuid() == 0:
            shutil.chown(directory, "nobody", "nogroup")
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def _serving(command: list[str], path: Path) -> Iterator[Path]:
    """Run a server until the block ends; yields once `path` takes connections."""
    with ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile("w+"))
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=path.parent, **_as_nobody())
        stack.callback(process.wait, PATIENCE)
        stack.callback(process.terminate)
        give_up = time.monotonic() + PATIENCE
        while not _accepts(path):
            if process.poll() is not None or time.monotonic() > give_up:
                log.seek(0)
                raise AssertionError(f"{command} does not serve:\n{log.read()}")
            time.sleep(0.01)
        yield path


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def run(*command: str, stdin: str | bytes = "", timeout: float = 30.0) -> str:
    """Run a client to its end and return what it printed; raises if it failed."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(command, input=data, capture_output=True, timeout=timeout, check=False)
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, output
    return output
