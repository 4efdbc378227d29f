from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from trioproxy.reactor.pipes import PIPE_SIZE, PipePool

if TYPE_CHECKING:
    import pytest


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_no_more_pipes_than_allowed_and_none_left_open() -> None:
    before = open_fds()
    with PipePool(2) as pool:
        first, second = pool.take(), pool.take()
        assert first is not None
        assert second is not None
        assert pool.take() is None
        assert open_fds() == before + 4
        pool.give_back(first)
        assert pool.take() is first
        pool.give_back(first)
        pool.give_back(second)
        assert repr(pool) == "<PipePool 2 idle, 0 more allowed>"
    assert open_fds() == before
    assert repr(pool) == "<PipePool 0 idle, 2 more allowed>"


def test_what_is_in_a_pipe_can_be_taken_out() -> None:
    with PipePool() as pool:
        pipe = pool.take()
        assert pipe is not None
        data = bytes(range(256)) * (PIPE_SIZE // 256)
        pipe.held = os.write(pipe.write_fd, data)
        assert pipe.drain() == data
        assert pipe.held == 0
        pool.give_back(pipe)


def test_where_pipes_may_not_grow_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the user's share of pipe pages; a small pipe would be no better than copying."""

    def refuse(_fd: int, _command: int, _argument: int) -> int:
        raise PermissionError(errno.EPERM, "past the user's limit")

    before = open_fds()
    monkeypatch.setattr("fcntl.fcntl", refuse)
    with PipePool() as pool:
        assert pool.take() is None
        assert open_fds() == before


def test_where_fds_have_run_out_there_is_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def pipe2(_flags: int) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "too many")

    with PipePool(1) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pipe2", pipe2)
            assert pool.take() is None
        pipe = pool.take()
        assert pipe is not None
        pool.give_back(pipe)
