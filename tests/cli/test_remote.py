"""`trioproxy status` and `trioproxy drain` against an admin interface of the test's own."""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from trioproxy.cli import remote
from trioproxy.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Server(ThreadingHTTPServer):
    """Answers with what is left, fewer each time once it drains."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.left = [3, 3, 1, 0]
        self.successors: list[dict[str, object]] = []
        self.page: bytes | None = None  # instead of what an admin interface says
        self.told: list[str] = []
        self.name = f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.server.page is not None or self.path == "/generations":
            self._answer(self.server.page or b"epoch 7 serving\n")
            return
        left = self.server.left.pop(0)
        listeners = [{"open": left, "next": 4.2}, {"open": 0}]
        generation: dict[str, object] = {"epoch": 7, "listeners": listeners}
        if left > 1:
            generation["connections"] = [{"words": "somebody at web"}, {"words": "another"}]
        successors = self.server.successors if self.server.told else []
        found = [*successors, generation] if left or not successors else successors
        self._answer(json.dumps({"generations": found}).encode())

    def do_POST(self) -> None:
        self.server.told.append(self.path)
        self._answer(b"OK\n")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(remote, "PAUSE", 0)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_status(server: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "admin"
    path.write_text(f"{server.name}\n")
    for address in (server.name, str(path)):
        assert main(["status", address]) == 0
        assert capsys.readouterr().out == "epoch 7 serving\n"


def test_drain_and_wait(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drain", "--wait", server.name]) == 0
    assert server.told == ["/drain_listeners"]
    assert capsys.readouterr().out.splitlines() == [
        "3 of 3 connections left, next in 4 s, last somebody at web",
        "1 of 3 connections left, next in 4 s",
        "drained",
    ]


def test_who_takes_over_meanwhile_is_not_waited_for(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.successors = [{"epoch": 8, "listeners": [{"open": 500}]}]
    assert main(["drain", "--wait", server.name]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "1 of 3 connections left, next in 4 s",
        "drained",
    ]


@pytest.mark.parametrize(
    "page",
    [b"<html>", b"[]", b"{}", b'{"generations": []}', b'{"generations": [{"epoch": 0}]}', b"\xff"],
)
def test_what_is_no_admin_interface_is_told_nothing(
    server: Server, capsys: pytest.CaptureFixture[str], page: bytes
) -> None:
    server.page = page
    assert main(["drain", server.name]) == 1
    assert server.told == []
    reason = f"what answers at {server.name} is not trioproxy's admin interface\n"
    assert reason in capsys.readouterr().err


def test_an_interrupt_ends_the_wait_alone(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(remote.time, "sleep", interrupt)
    assert main(["drain", "--wait", server.name]) == 130
    assert server.told == ["/drain_listeners"]
    assert capsys.readouterr().err == "\n"


def test_on_a_terminal_there_is_a_bar(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """No longer than a line, or it could not be written anew."""
    monkeypatch.setenv("COLUMNS", "50")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    remote.wait(remote.Admin(remote.address(server.name)), remote.Left(7, 3), out)
    first, again, *_, second, last = out.getvalue().split("\r")[1:]
    assert first == again == f"[{' ' * 30}] 3 of 3 connections l"[:49] + "\x1b[K"
    assert second.startswith(f"[{'#' * 20}{' ' * 10}] 1 of 3")
    assert last.endswith("drained\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["status", "127.0.0.1:1"], "no answer from the admin interface at 127.0.0.1:1"),
        (["status", "unix:/nowhere"], "no answer from the admin interface at unix:/nowhere"),
        (["status", "here"], "expected an address"),
        (["drain", "--forever", "127.0.0.1:1"], "unrecognized arguments: --forever"),
    ],
)
def test_what_goes_wrong_is_said(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert reason in capsys.readouterr().err
