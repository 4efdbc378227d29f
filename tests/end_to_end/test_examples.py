"""Each file in `configs/` runs as real processes, on free ports, and answers."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from certificates import furnish
from instances import PATIENCE

from trioproxy.config.loader import load
from trioproxy.filters.network.http_connection_manager import HttpConnectionManager
from trioproxy.filters.registry import REGISTRY

if TYPE_CHECKING:
    from certificates import Authority
    from conftest import Instance, Running

    from trioproxy.config.listener import Listener

CONFIGS = Path(__file__).parents[2] / "configs"
ANSWERED_BY_A_FILTER = {"demo": 200, "llm_gateway": 401}


LISTENED_ON = re.compile(r"^(admin: \{|  )address: [\d.]+:\d+", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_it_runs(path: Path, running: Running, tmp_path: Path, authority: Authority) -> None:
    """Where nobody is at the upstreams' addresses, that is told, too."""
    furnish(tmp_path, authority)
    for module in CONFIGS.glob("*.py"):
        shutil.copy(module, tmp_path)
    (tmp_path / "search_hosts.json").write_text('{"endpoints": ["127.0.0.1:1"]}')
    text = LISTENED_ON.sub(r"\1address: 127.0.0.1:0", path.read_text())
    text = text.replace("shop.internal", "localhost")  # a name that every machine knows
    with running(text, tmp_path, workers=2) as proxy:
        for listener in load(tmp_path / "proxy.yaml", None, REGISTRY).config.listeners:
            assert listener.address.free or listener.address.family == socket.AF_UNIX
            heard = ask(proxy, listener)
            if listener.chains[0].tls is None and isinstance(
                listener.chains[0].filters[-1], HttpConnectionManager
            ):
                status = re.match(rb"HTTP/1\.1 (\d{3}) ", heard)
                assert status
                assert int(status[1]) == ANSWERED_BY_A_FILTER.get(path.stem, int(status[1]))


def ask(proxy: Instance, listener: Listener) -> bytes:
    """Say a request to a listener, whatever it serves; returns the first that it says."""
    if listener.address.family == socket.AF_UNIX:
        client = socket.socket(socket.AF_UNIX)
        client.connect(listener.address.sockaddr)
    else:
        client = proxy.connect(listener.name)
    with client:
        client.settimeout(PATIENCE)
        try:
            client.sendall(b"GET / HTTP/1.1\r\nhost: example.org\r\n\r\n")
            return client.recv(65536)
        except ConnectionError:  # nobody is behind it, and its end came before or after our words
            return b""


def test_none_is_left_out() -> None:
    """A module is there for the configuration of its name."""
    assert {path.stem for path in CONFIGS.glob("*.py")} <= {p.stem for p in CONFIGS.glob("*.yaml")}
    assert {path.suffix for path in CONFIGS.iterdir() if path.is_file()} == {".yaml", ".py"}
