"""Other users of the machine at the control socket, which is where they could do harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from instances import PATIENCE
from lineage import Generations
from peers import HELLO, WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator

STRANGER = 1234
AS_STRANGER = """
import os, socket
from contextlib import suppress

def answer(sock, said):
    with suppress(BrokenPipeError):  # it may be refused before it is heard
        sock.send(said)
    with suppress(ConnectionResetError):
        return sock.recv(1000)
    return sock.recv(1000)

sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.setgroups([])
os.setgid({uid})
os.setuid({uid})
name = "{name}"
try:
    {act}
except OSError as error:
    print(type(error).__name__)
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


def stranger(act: str, name: str) -> subprocess.Popen[str]:
    """Start a process of another user who does something with the socket of that name."""
    program = AS_STRANGER.format(uid=STRANGER, name=name.replace("@", "\\0"), act=act)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def heard_by_stranger(name: str) -> str:
    """Return what another user is told who says Hello."""
    said = bytes([WHOLE]) + json.dumps(["Hello", HELLO]).encode()
    with stranger(f"sock.connect(name); print(answer(sock, {said!r}))", name) as who:
        return who.communicate(timeout=PATIENCE)[0]


@pytest.fixture
def common(tmp_path: Path) -> Iterator[str]:
    """A path for a control socket in a directory that every user can reach."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield f"{name}/control"


@pytest.mark.parametrize("where", ["a path", "an abstract name"])
def test_another_user_is_refused(tmp_path: Path, common: str, where: str) -> None:
    """A38: whatever the permissions are, and an abstract name has none."""
    name = common if where == "a path" else f"@{tmp_path.name}-{os.getpid()}"
    options = ["--socket-mode", "666"]
    with closing(Generations(tmp_path, socket_path=name, options=options)) as generations:
        generations.serve()
        assert f"a peer runs as uid {STRANGER}" in heard_by_stranger(generations.control)
        generations.serve()


def test_a_path_is_ours_alone(tmp_path: Path, common: str) -> None:
    """A38: unless told otherwise, another user cannot even connect."""
    with closing(Generations(tmp_path, socket_path=common)) as generations:
        generations.serve()
        assert heard_by_stranger(generations.control) == "PermissionError\n"


def test_a_user_on_the_list_is_let_in(tmp_path: Path, common: str) -> None:
    """A38: for containers whose users are mapped differently."""
    allowed, options = f"{{allow_uids: [{STRANGER}]}}", ["--socket-mode", "666"]
    with closing(Generations(tmp_path, allowed, socket_path=common, options=options)) as each:
        each.serve()
        assert '["Welcome"' in heard_by_stranger(each.control)


def test_another_user_is_not_taken_for_the_parent(tmp_path: Path) -> None:
    """A38: who was quick to take the name is told nothing, and the child says why."""
    name = f"@{tmp_path.name}-{os.getpid()}"
    act = "sock.bind(name); sock.listen(); print(1, flush=True); print(sock.accept()[0].recv(9))"
    generations = Generations(tmp_path, socket_path=name)
    with closing(generations), stranger(act, generations.control) as impostor:
        assert impostor.stdout
        assert impostor.stdout.readline() == "1\n"
        child = generations.begin()
        child.wait_for(f"refusing the parent: a peer runs as uid {STRANGER}")
        assert child.wait_gone() == 1
        assert impostor.stdout.readline() == "b''\n"
