"""Unix sockets as files."""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from trioproxy.server.paths import SocketFile, bind_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        yield sock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sock"


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_is_what_was_asked_for(sock: socket.socket, path: Path, mode: int) -> None:
    mask = os.umask(0o022)
    try:
        bind_path(sock, path, mode)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_stale_path_is_replaced(sock: socket.socket, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    bind_path(sock, path, 0o600)
    sock.listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
@pytest.mark.parametrize("full", [False, True])
def test_a_living_path_is_an_error(
    sock: socket.socket, path: Path, kind: socket.SocketKind, *, full: bool
) -> None:
    with (
        socket.socket(socket.AF_UNIX, kind) as living,
        socket.socket(socket.AF_UNIX, kind) as client,
    ):
        living.bind(str(path))
        living.listen(0)
        if full:
            client.connect(str(path))
        with pytest.raises(OSError, match="in use"):
            bind_path(sock, path, 0o600)
    assert path.exists()


def test_a_file_that_is_no_socket_is_left_alone(sock: socket.socket, path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        bind_path(sock, path, 0o600)
    assert path.read_text() == "precious"


def test_a_missing_directory_is_named_by_the_error(sock: socket.socket, tmp_path: Path) -> None:
    with pytest.raises(OSError) as failure:
        bind_path(sock, tmp_path / "nowhere" / "sock", 0o600)
    assert failure.value.errno == errno.ENOENT


def test_only_what_is_ours_is_unlinked(sock: socket.socket, path: Path) -> None:
    bind_path(sock, path, 0o600)
    file = SocketFile(path)
    ours = path.with_name("ours")
    with socket.socket(socket.AF_UNIX) as other:
        path.rename(ours)
        other.bind(str(path))
        file.remove()
        assert path.exists()
        path.unlink()
    ours.rename(path)
    file.remove()
    assert not path.exists()
    file.remove()


def test_a_hidden_file_comes_back_or_is_unlinked(sock: socket.socket, path: Path) -> None:
    bind_path(sock, path, 0o600)
    inode = path.stat().st_ino
    file = SocketFile(path)
    file.hide()
    file.hide()
    assert not path.exists()
    file.show()
    assert path.stat().st_ino == inode
    file.hide()
    file.remove()
    assert list(path.parent.iterdir()) == []


def test_the_mode_of_a_file_that_is_gone_costs_a_warning(
    sock: socket.socket, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bind_path(sock, path, 0o600)
    file = SocketFile(path)
    file.set_mode("640")
    assert path.stat().st_mode & 0o777 == 0o640
    path.unlink()
    file.set_mode("600")
    assert "keeps its mode" in caplog.text
