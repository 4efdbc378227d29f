"""The real command, as a user runs it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from trioproxy import __version__
from trioproxy.admin.version import BUILD

DOCS = Path(__file__).parents[2] / "docs"
GOOD = """\
admin: {address: 127.0.0.1:1}
listeners:
- name: db
  address: 127.0.0.1:1025
  filters: [{tcp_proxy: {stat_prefix: db, cluster: pg}}]
clusters: [{name: pg, endpoints: [127.0.0.1:5432]}]
"""


def trioproxy(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trioproxy", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, timeout=60)


def test_validating_says_ok_and_touches_nothing(tmp_path: Path) -> None:
    """A01: exit 0, nothing bound (the addresses are taken), no control socket, no file."""
    with (
        socket.create_server(("127.0.0.1", 0)) as admin,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        text = GOOD.replace("127.0.0.1:1}", f"127.0.0.1:{admin.getsockname()[1]}}}")
        text = text.replace("127.0.0.1:1025", f"127.0.0.1:{listener.getsockname()[1]}")
        file = tmp_path / "proxy.yaml"
        file.write_text(text)
        control = tmp_path / "control"
        result = trioproxy("-c", str(file), "--mode", "validate", "--socket-path", str(control))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"configuration '{file}' OK\n"
    assert list(tmp_path.iterdir()) == [file]


def test_validating_text_alone() -> None:
    result = trioproxy("--config-yaml", "{}", "--mode=validate")
    assert (result.returncode, result.stdout) == (0, "configuration '--config-yaml' OK\n")


def test_every_mistake_in_a_file_is_told(tmp_path: Path) -> None:
    """A02: file, line, column, what is wrong, what may have been meant; exit 1."""
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD.replace("cluster: pg", "cluster: pgg").replace("admin:", "admn:"))
    result = trioproxy("-c", "bad.yaml", "--mode", "validate", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "bad.yaml:1:1: unknown key 'admn' (did you mean 'admin'?)",
        "bad.yaml:5:52: unknown cluster 'pgg' (did you mean 'pg'?)",
    ]


def test_an_unsound_file_is_not_served(tmp_path: Path) -> None:
    """A02: serving refuses as validating does."""
    (tmp_path / "bad.yaml").write_text("admn: {}")
    result = trioproxy("-c", "bad.yaml", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == "bad.yaml:1:1: unknown key 'admn' (did you mean 'admin'?)\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param((), "expected --config-path or --config-yaml", id="A03 no configuration"),
        pytest.param(("-c", "nowhere.yaml"), "nowhere.yaml: No such file", id="A03 no such file"),
        pytest.param(
            ("-c", "x", "--restart-epoch", "1", "--use-dynamic-base-id"),
            "cannot use --restart-epoch=1 with --use-dynamic-base-id",
            id="A04",
        ),
        pytest.param(
            ("-c", "x", "--drain-strategy", "abrupt"),
            "--drain-strategy: expected gradual or immediate, found 'abrupt'",
            id="A05",
        ),
        pytest.param(
            ("-c", "x", "--drain-time-s", "-5"),
            "--drain-time-s: expected seconds from 0 to 4294967295, found '-5'",
            id="A06 negative",
        ),
        pytest.param(
            ("-c", "x", "--parent-shutdown-time-s=4294967296"),
            "--parent-shutdown-time-s: expected seconds from 0 to 4294967295, found '4294967296'",
            id="A06 overflow, with an equals sign",
        ),
        pytest.param(
            ("-c", "x", "--socket-mode", "9z"),
            "--socket-mode: expected an octal mode such as 600, found '9z'",
            id="A11 mode",
        ),
        pytest.param(
            ("-c", "x", "--socket-path", "/" + "x" * 120),
            "a socket path of 123 bytes; at most 107 are possible",
            id="A11 path",
        ),
    ],
)
def test_what_cannot_be_followed_ends_with_the_reason(
    arguments: tuple[str, ...], reason: str
) -> None:
    """A03, A04, A05, A06, A11: exit 1, the reason on stderr."""
    result = trioproxy(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


def test_versions() -> None:
    """A07: the version of hot restart is `<protocol>.<layout>`, or `disabled`."""
    assert trioproxy("--version").stdout == f"trioproxy {__version__} ({BUILD})\n"
    assert re.fullmatch(r"\d+\.\d+\n", trioproxy("--hot-restart-version").stdout)
    disabled = trioproxy("--hot-restart-version", "--disable-hot-restart")
    assert (disabled.returncode, disabled.stdout) == (0, "disabled\n")


def test_the_schema_is_printed_for_the_real_filters() -> None:
    schema = json.loads(trioproxy("schema").stdout)
    assert {"listeners", "clusters", "drain"} <= schema["properties"].keys()
    assert {"HttpConnectionManager", "TcpProxy", "Route", "Retry"} <= schema["$defs"].keys()


def test_the_reference_of_all_keys_and_defaults_is_current() -> None:
    page = trioproxy("schema", "--markdown").stdout
    assert page == (DOCS / "configuration-reference.md").read_text(), (
        "run: trioproxy schema --markdown > docs/configuration-reference.md"
    )


def test_schema_takes_nothing_else() -> None:
    result = trioproxy("schema", "--xml")
    assert (result.returncode, result.stdout) == (1, "")
    assert "usage: trioproxy schema [--markdown]" in result.stderr
