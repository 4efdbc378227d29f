from __future__ import annotations

import os
import resource
import select
import threading
from typing import TYPE_CHECKING

import pytest

from trioproxy.accesslog import output
from trioproxy.accesslog.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def small_disk() -> Iterator[None]:
    """A disk on which a file has room for ten bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def make_room() -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"old\n")
    with Output(str(path)) as out:
        assert out.write([b"one\n", b"two\n"]) == 0
    assert path.read_bytes() == b"old\none\ntwo\n"


def test_a_new_file_is_nobody_elses(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        with Output(str(tmp_path / "access.log")):
            assert (tmp_path / "access.log").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(old)


def test_a_renamed_file_keeps_its_lines_and_a_new_one_gets_the_next(tmp_path: Path) -> None:
    """A71, the file's part."""
    path, renamed = tmp_path / "access.log", tmp_path / "access.log.1"
    with Output(str(path)) as out:
        out.write([b"one\n"])
        path.rename(renamed)
        out.write([b"two\n"])
        out.reopen()
        out.write([b"three\n"])
    assert renamed.read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"three\n"


def test_where_the_path_cannot_be_opened_the_old_file_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    with Output(str(directory / "access.log")) as out:
        directory.rename(tmp_path / "old")
        out.reopen()
        assert out.write([b"one\n"]) == 0
    assert (tmp_path / "old" / "access.log").read_bytes() == b"one\n"
    assert "No such file or directory" in caplog.text


def test_a_path_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Output(str(tmp_path / "none" / "access.log"))


def test_a_pipe_that_nobody_reads_is_an_error_not_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        Output(str(tmp_path / "pipe"))


def test_a_full_device_loses_lines_and_complains_once(caplog: pytest.LogCaptureFixture) -> None:
    with Output("/dev/full") as out:
        assert out.write([b"one\n", b"two\n"]) == 2
        assert out.write([b"three\n"]) == 1
    assert caplog.text.count("No space left on device") == 1


@pytest.mark.usefixtures("small_disk")
def test_a_line_that_a_full_disk_cut_is_made_whole_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with Output(str(path)) as out:
        assert out.write([b"12345\n", b"67890\n", b"lost\n"]) == 1
        assert path.read_bytes() == b"12345\n6789"
        assert out.write([b"lost too\n"]) == 1
        make_room()
        assert out.write([b"next\n"]) == 0
    assert path.read_bytes() == b"12345\n67890\nnext\n"


@pytest.mark.usefixtures("small_disk")
def test_lines_lost_between_lines_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with Output(str(path)) as out:
        assert out.write([b"123456789\n", b"lost\n", b"lost\n"]) == 2
        make_room()
        assert out.write([b"next\n"]) == 0
    assert path.read_bytes() == b"123456789\nnext\n"


@pytest.mark.usefixtures("small_disk")
def test_a_cut_line_never_ends_up_in_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with Output(str(path)) as out:
        assert out.write([b"1234567890\n"]) == 0
        make_room()
        path.rename(tmp_path / "old")
        out.reopen()
        assert out.write([b"next\n"]) == 0
    assert (tmp_path / "old").read_bytes() == b"1234567890\n"
    assert path.read_bytes() == b"next\n"


def test_a_pipe_gets_whole_lines_in_pieces_that_the_kernel_keeps_together(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    lines = [b"%0999d\n" % number for number in range(10)]
    with Output(str(tmp_path / "pipe")) as out:
        assert [len(piece) for piece in out._pieces(lines)] == [4000, 4000, 2000]
        assert list(out._pieces([b"x" * select.PIPE_BUF, b"y\n"]))[-1] == b"y\n"
        assert out.write(lines) == 0
        assert os.read(reader, 1 << 16) == b"".join(lines)
        os.close(reader)
        assert out.write(lines) == 10


def test_a_standard_stream_made_non_blocking_by_others_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    monkeypatch.setitem(output.STANDARD, "/dev/stdout", write)
    lines = [b"%0999d\n" % number for number in range(100)]
    received: list[bytes] = []

    def collect() -> None:
        while chunk := os.read(read, 4096):
            received.append(chunk)

    reader = threading.Thread(target=collect)
    with Output("/dev/stdout") as out:
        reader.start()
        assert out.write(lines) == 0
        out.reopen()
    assert not os.get_blocking(write)
    os.close(write)
    reader.join()
    os.close(read)
    assert b"".join(received) == b"".join(lines)
