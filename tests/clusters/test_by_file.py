from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioproxy.clusters import by_file
from trioproxy.clusters.by_file import keep_reading
from trioproxy.clusters.changes import Changes
from trioproxy.clusters.membership import Membership
from trioproxy.config.cluster import Cluster
from trioproxy.config.discovery import Discovery, WatchedFile

if TYPE_CHECKING:
    from trioproxy.stats.reader import Reader
    from trioproxy.stats.writer import Writer

PATIENCE = 5.0  # seconds


class Watch:
    """A membership that follows a file."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self.path = path
        config = Discovery(file=WatchedFile(path, refresh=0.01))
        self.membership = Membership(Cluster("app", discovery=config), writer, Changes())

    @property
    def hosts(self) -> list[str]:
        return [each.address.removeprefix("127.0.0.1:") for each in self.membership.members]

    async def has(self, *hosts: str) -> None:
        """Wait until these are the hosts."""
        with trio.fail_after(PATIENCE):
            while self.hosts != list(hosts):
                await self.membership.changes.beyond(self.membership.changes.count)

    async def failed(self, reason: str) -> None:
        """Wait until the last attempt failed for that reason."""
        with trio.fail_after(PATIENCE):
            while reason not in self.membership.failure:
                await self.membership.changes.beyond(self.membership.changes.count)


@pytest.fixture
def watch(tmp_path: Path, writer: Writer, nursery: trio.Nursery) -> Watch:
    watch = Watch(tmp_path / "app.yaml", writer)
    watch.path.write_text("endpoints: [127.0.0.1:1]")
    assert watch.membership.config.discovery is not None
    assert watch.membership.config.discovery.file is not None
    nursery.start_soon(keep_reading, watch.membership, watch.membership.config.discovery.file)
    return watch


async def test_a_file_that_changes(watch: Watch) -> None:
    await watch.has("1")
    watch.path.write_text("endpoints: [127.0.0.1:1, 127.0.0.1:2]")
    await watch.has("1", "2")


async def test_a_file_that_is_replaced(watch: Watch) -> None:
    await watch.has("1")
    new = watch.path.with_suffix(".new")
    new.write_text("endpoints: [127.0.0.1:3]")
    os.replace(new, watch.path)
    await watch.has("3")


async def test_a_link_that_is_turned_as_by_kubernetes(
    tmp_path: Path, writer: Writer, nursery: trio.Nursery
) -> None:
    for number in (1, 2):
        (tmp_path / f"data{number}").mkdir()
        text = f"endpoints: [127.0.0.1:{number}]"
        (tmp_path / f"data{number}" / "app.yaml").write_text(text)
    (tmp_path / "current").symlink_to("data1")
    watch = Watch(tmp_path / "current" / "app.yaml", writer)
    nursery.start_soon(keep_reading, watch.membership, WatchedFile(watch.path, 0.01))
    await watch.has("1")
    (tmp_path / "next").symlink_to("data2")
    os.replace(tmp_path / "next", tmp_path / "current")
    await watch.has("2")


async def test_a_broken_file_keeps_the_last_good_set_and_says_so(
    watch: Watch, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    await watch.has("1")
    watch.path.write_text("endpoints: [127.0.0.1:2, {weight: 2}]")
    await watch.failed("app.yaml:1:26: missing 'address'")
    assert watch.hosts == ["1"]
    assert "missing 'address': Where to connect; its hosts stay" in caplog.text
    assert reader.snapshot().counters["cluster.app.update_failure"] == 1
    watch.path.unlink()
    await watch.failed("No such file")
    assert watch.hosts == ["1"]
    watch.path.write_bytes(b"\xff")
    await watch.failed("not UTF-8")
    watch.path.write_text("endpoints: [127.0.0.1:2]")
    await watch.has("2")
    assert watch.membership.failure == ""


@pytest.fixture
def patient_clock() -> trio.testing.MockClock:
    """Virtual time that leaves threads some to work in."""
    return trio.testing.MockClock(autojump_threshold=0.02)


async def test_what_fails_for_a_moment_is_tried_again(
    watch: Watch, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watch.has("1")
    left, read = [OSError(errno.EIO, "Input/output error")] * 2, Path.open

    def read_with_luck(path: Path, mode: str, **text: Any) -> IO[Any]:
        if mode == "rb" and left:
            raise left.pop()
        return read(path, mode, **text)

    monkeypatch.setattr(Path, "open", read_with_luck)
    watch.path.write_text("endpoints: [127.0.0.1:2]")
    await watch.failed("app.yaml: Input/output error")
    await watch.has("2")
    assert watch.membership.failure == ""
    assert reader.snapshot().counters["cluster.app.update_failure"] == 2


async def test_a_file_that_is_not_there_is_asked_for_once(
    tmp_path: Path, writer: Writer, reader: Reader, patient_clock: trio.testing.MockClock
) -> None:
    watch = Watch(tmp_path / "app.yaml", writer)
    with trio.move_on_after(10):
        await keep_reading(watch.membership, WatchedFile(watch.path, 1.0))
    assert reader.snapshot().counters["cluster.app.update_failure"] == 1


async def test_a_file_that_is_too_large(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_file, "LARGEST_TEXT", 30)
    await watch.has("1")
    watch.path.write_text("endpoints: [127.0.0.1:2]" + " " * 7)
    await watch.failed("app.yaml: more than 30 bytes")
    watch.path.write_text("endpoints: [127.0.0.1:2]" + " " * 6)
    await watch.has("2")


async def test_a_file_system_that_hangs_holds_up_nobody(
    tmp_path: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on, ended = threading.Event(), threading.Event(), list[threading.Thread]()

    def hang(path: Path) -> None:
        began.set()
        go_on.wait(PATIENCE)
        ended.append(threading.current_thread())

    monkeypatch.setattr(by_file, "look", hang)
    watch = Watch(tmp_path / "app.yaml", writer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_reading, watch.membership, WatchedFile(watch.path, 0.01))
        await trio.to_thread.run_sync(began.wait)
        nursery.cancel_scope.cancel()
    assert ended == []
    go_on.set()


async def test_a_file_that_is_late(tmp_path: Path, writer: Writer, nursery: trio.Nursery) -> None:
    watch = Watch(tmp_path / "app.yaml", writer)
    nursery.start_soon(keep_reading, watch.membership, WatchedFile(watch.path, 0.01))
    await watch.failed("No such file")
    assert not watch.membership.discovered
    watch.path.write_text("endpoints: [127.0.0.1:1]")
    await watch.has("1")


async def test_a_file_that_is_written_in_pieces_is_read_when_it_is_whole(
    tmp_path: Path, writer: Writer, patient_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "app.yaml"
    path.write_text("endpoints: []")
    watch = Watch(path, writer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_reading, watch.membership, WatchedFile(path, 1.0))
        await trio.sleep(0.5)
        with path.open("w") as file:
            for number in range(1, 6):
                file.write(f"- 127.0.0.1:{number}\n")
                file.flush()
                await trio.sleep(1.0)
                assert watch.hosts == []
        await trio.sleep(5.0)
        assert watch.hosts == ["1", "2", "3", "4", "5"]
        nursery.cancel_scope.cancel()
