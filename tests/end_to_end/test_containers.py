"""Two generations in two containers: what they share is a directory, and the network."""

from __future__ import annotations

import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from instances import PATIENCE, Instance
from lineage import REQUESTS, Generations
from sites import Visitor

if TYPE_CHECKING:
    from pathlib import Path

UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
IN_CONTAINER = """
set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/shared
mount --bind "$1" /mnt/shared
mount -t tmpfs tmpfs /dev/shm
mount -o remount,bind,ro /
shift
exec "$@"
"""


def can_unshare() -> bool:
    return subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode == 0


class Container(Instance):
    """A generation that sees other pids than we do, and other files."""

    def note(self, line: str) -> str:
        super().note(line)
        self.workers.clear()  # pids that mean nothing here, or another process
        return line

    def kill_all(self) -> None:
        self._process.kill()  # which ends its first process, and so all of them
        self._process.wait(PATIENCE)
        assert self._process.stderr
        self._process.stderr.close()


class Containers(Generations):
    """The generations of one instance, each in a container of its own."""

    def __init__(self, shared: Path) -> None:
        super().__init__(shared, hand_over=True, socket_path="/mnt/shared/control")
        self.command = [*UNSHARE, "sh", "-c", IN_CONTAINER, "sh", str(shared), *self.command]

    start = Container


@pytest.mark.skipif(not can_unshare(), reason="only root can make containers")
def test_a_generation_in_another_container_takes_over(tmp_path: Path) -> None:
    """A40: no /dev/shm, no other file and no pid is common; traffic goes on, a connection moves."""
    with closing(Containers(tmp_path)) as generations:
        parent, client = generations.serve(), generations.connect()
        with Visitor(generations.web) as visitor:
            child = generations.serve()
            assert "found a parent (pid 0, uid 0)" in "\n".join(child.log)
            assert parent.wait_gone() == 0
            assert client.ask()
            generations.connect()
        assert not visitor.failures
        assert generations.counter(REQUESTS) == visitor.seen["here"] + 3
        assert [path.name for path in tmp_path.iterdir()] == ["control_0"]
