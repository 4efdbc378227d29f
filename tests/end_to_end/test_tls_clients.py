"""TLS of the real proxy, to curl, to `openssl s_client`, and over a restart."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from instances import PATIENCE, Instance
from sites import free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from certificates import Authority, Pair
    from conftest import Running

foreign = pytest.mark.foreign

YAML = """
drain: {{time: 1s, parent_shutdown_time: 20s}}
listeners:
- name: web
  address: 127.0.0.1:{port}
  tls: {{certificate: {pair.certificate}, private_key: {pair.private_key}, {more}}}
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: hello}}}}]
"""


def yaml(pair: Pair, more: str = "", port: int = 0) -> str:
    return YAML.format(pair=pair, more=more, port=port)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("localhost", "127.0.0.1")


@pytest.fixture
def proxy(running: Running, pair: Pair, tmp_path: Path) -> Iterator[Instance]:
    with running(yaml(pair), tmp_path, workers=1) as proxy:
        yield proxy


def curl(proxy: Instance, *arguments: str) -> subprocess.CompletedProcess[str]:
    url = f"https://localhost:{proxy.ports['web']}/"
    command = ["curl", "-sSv", "--max-time", "10", *arguments, url, url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def s_client(proxy: Instance, *arguments: str, said: str = "") -> str:
    """Return what s_client says of a connection on which `said` is said."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.ports['web']}", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as client:
        return client.communicate(said, PATIENCE)[0]


@foreign
def test_curl_is_served_on_one_connection(proxy: Instance, authority: Authority) -> None:
    done = curl(proxy, "--cacert", str(authority.path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "hellohello"
    assert "TLSv1.3" in done.stderr
    assert done.stderr.count("* Connected to") == 1


@foreign
def test_curl_speaks_http2_where_both_want_to(
    running: Running, authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    with running(yaml(pair, "alpn: [h2, http/1.1]"), tmp_path) as proxy:
        for version, spoken in (("--http2", "2"), ("--http1.1", "1.1")):
            trust = ("--cacert", str(authority.path), version)
            done = curl(proxy, *trust, "-w", " %{http_version} ", "-o", "/dev/null")
            assert done.stdout.split()[-1] == spoken, done.stderr


@foreign
def test_curl_shows_a_certificate(
    running: Running, authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    more = f"trusted_ca: {authority.path}, require_client_certificate: true"
    client = authority.issue("client.org")
    with running(yaml(pair, more), tmp_path) as proxy:
        trust = ("--cacert", str(authority.path))
        assert curl(proxy, *trust).returncode != 0
        shown = ("--cert", str(client.certificate), "--key", str(client.private_key))
        assert curl(proxy, *trust, *shown).stdout == "hellohello"


@foreign
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_no_protocol_below_1_2(proxy: Instance, version: str) -> None:
    said = s_client(proxy, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in said


@foreign
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_what_is_agreed_on(proxy: Instance, authority: Authority, version: str) -> None:
    """No compression, forward secrecy, and the end is told."""
    said = s_client(proxy, version, "-CAfile", str(authority.path), "-comp")
    assert "Verify return code: 0 (ok)" in said
    assert "Compression: NONE" in said
    assert "Server Temp Key: " in said


@foreign
def test_no_cipher_without_forward_secrecy(proxy: Instance) -> None:
    said = s_client(proxy, "-tls1_2", "-cipher", "AES256-GCM-SHA384:AES128-SHA")
    assert "Cipher is (NONE)" in said


@foreign
def test_no_renegotiation(proxy: Instance) -> None:
    """`R` has s_client ask for one; it says so, and is refused."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.ports['web']}", "-tls1_2"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write("R\n")
        client.stdin.flush()
        said = client.stdout.read()
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said


@foreign
@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_a_session_is_resumed_by_whichever_worker(
    running: Running, pair: Pair, tmp_path: Path, version: str
) -> None:
    path = str(tmp_path / "session")
    request = "GET / HTTP/1.1\nhost: a\nconnection: close\n\n"
    terms = (f"-tls{version}", "-crlf", "-ign_eof")
    with running(yaml(pair), tmp_path, workers=3) as proxy:
        assert "New, TLSv1" in s_client(proxy, *terms, "-sess_out", path, said=request)
        for _ in range(8):
            assert "Reused, TLSv1" in s_client(proxy, *terms, "-sess_in", path, said=request)


def test_what_will_not_do_is_told_before_anything_is_bound(
    authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    """Every pair at once, each with its place."""
    pair.private_key.write_bytes(authority.issue("other").private_key.read_bytes())
    file = tmp_path / "proxy.yaml"
    file.write_text(yaml(pair))
    command = [sys.executable, "-m", "trioproxy", "--mode", "validate", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{file}:6:8: {pair.private_key} is not the key of {pair.certificate}" in done.stderr


ASK = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Client:
    """A keep-alive client over TLS, to whom an end without close_notify is an error."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock = context.wrap_socket(
            sock, server_hostname="localhost", suppress_ragged_eofs=False
        )

    def ask(self) -> bytes:
        """Send a request; returns the answer, empty at the end of the connection."""
        self.sock.sendall(ASK)
        answer = b""
        while not answer.endswith(b"hello") and (piece := self.sock.recv(1000)):
            answer += piece
        return answer


def test_a_restart_costs_no_request(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    """A53: a busy client is asked to leave in an answer, an idle one is told by close_notify."""
    port = free_port()
    (tmp_path / "proxy.yaml").write_text(yaml(pair, port=port))
    command = [sys.executable, "-m", "trioproxy", "-c", str(tmp_path / "proxy.yaml")]
    command += ["--socket-path", str(tmp_path / "control"), "--concurrency", "1"]
    with ExitStack() as stack:
        generations = []

        def begin(epoch: int) -> None:
            generations.append(Instance([*command, "--restart-epoch", str(epoch)]))
            stack.callback(generations[-1].kill_all)
            generations[-1].wait_serving()

        begin(0)
        busy, idle = (Client(port, authority.client()) for _ in range(2))
        assert idle.ask().endswith(b"hello")
        begin(1)
        while b"connection: close" not in (answer := busy.ask()):
            assert answer.endswith(b"hello")
        assert answer.endswith(b"hello")
        for client in (busy, idle):
            assert client.sock.recv(1) == b""
            client.sock.close()
        assert generations[0].wait_gone() == 0
        again = Client(port, authority.client())
        assert again.ask().endswith(b"hello")
        again.sock.close()
