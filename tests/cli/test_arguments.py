from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from trioproxy.cli.arguments import Parser, UsageError, add_drain, add_restart, parse
from trioproxy.config.options import Options


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["-c", "f"], "config_path", Path("f")),
        (["--config-path=f"], "config_path", Path("f")),
        (["--config-yaml", "a: 1"], "config_yaml", "a: 1"),
        (["--mode", "validate"], "mode", "validate"),
        (["--concurrency", "3"], "concurrency", 3),
        (["--concurrency", "0"], "concurrency", 1),
        (["--base-id", "4294967295"], "base_id", 2**32 - 1),
        (["--use-dynamic-base-id"], "use_dynamic_base_id", True),
        (["--base-id-path", "f"], "base_id_path", Path("f")),
        (["--restart-epoch", "2"], "restart_epoch", 2),
        (["--restart-epoch=auto"], "restart_epoch", "auto"),
        (["--drain-time-s", "0"], "drain_time_s", 0.0),
        (["--drain-time-s=1.5"], "drain_time_s", 1.5),
        (["--drain-strategy", "immediate"], "drain_strategy", "immediate"),
        (["--parent-shutdown-time-s", "4294967295"], "parent_shutdown_time_s", 2**32 - 1),
        (["--shutdown-time-s", "5"], "shutdown_time_s", 5.0),
        (["--socket-path", "@name"], "socket_path", "@name"),
        (["--socket-mode", "640"], "socket_mode", 0o640),
        (["--disable-hot-restart"], "disable_hot_restart", True),
        (["--hot-restart-version"], "hot_restart_version", True),
        (["--skip-hot-restart-on-no-parent"], "skip_hot_restart_on_no_parent", True),
        (["--admin-address-path", "f"], "admin_address_path", Path("f")),
        (["-l", "warn"], "log_level", "warn"),
        (["--log-level", "off"], "log_level", "off"),
        (
            ["--component-log-level", "admin:debug,drain:off"],
            "component_log_level",
            (("admin", "debug"), ("drain", "off")),
        ),
        (["--log-path", "f"], "log_path", Path("f")),
        (["--log-format", "%v"], "log_format", "%v"),
        (["--version"], "version", True),
    ],
)
def test_each_option_is_read_and_nothing_else_is_set(
    arguments: list[str], name: str, value: object
) -> None:
    assert vars(parse(arguments)) == {name: value}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--drain-time-s", "-5"], "--drain-time-s: expected seconds from 0 .* found '-5'"),
        (["--drain-time-s=-5"], "--drain-time-s: expected seconds from 0 .* found '-5'"),
        (["--drain-time-s", "4294967296"], "found '4294967296'"),
        (["--drain-time-s", "5s"], "found '5s'"),
        (["--drain-time-s", "nan"], "found 'nan'"),
        (["--drain-time-s", "\u0665"], "found '\u0665'"),
        (["--shutdown-time-s", ""], "found ''"),
        (["--parent-shutdown-time-s", "-1"], "--parent-shutdown-time-s: expected seconds"),
        (["--base-id", "4294967296"], "--base-id: expected a whole number from 0 to 4294967295"),
        (["--base-id", "1.5"], "found '1.5'"),
        (["--restart-epoch", "-1"], "expected auto or a whole number from 0 .* found '-1'"),
        (["--concurrency", "1025"], "expected a whole number from 0 to 1024, found '1025'"),
        (["--drain-strategy", "gradua"], r"expected gradual or immediate.* mean 'gradual'\?"),
        (["--mode", "foo"], "--mode: expected serve or validate, found 'foo'"),
        (["--socket-mode", "9z"], "--socket-mode: expected an octal mode such as 600, found '9z'"),
        (["--socket-mode", "1777"], "found '1777'"),
        (["-l", "loud"], "expected trace, debug, .* or off, found 'loud'"),
        (["--component-log-level", "admin"], "expected NAME:LEVEL,NAME:LEVEL..., found 'admin'"),
        (["--component-log-level", "admin:loud"], "expected trace, .* found 'loud'"),
        (["--base-id", "1", "--base-id", "1"], "--base-id: given twice"),
        (["-l", "info", "--log-level", "info"], "-l/--log-level: given twice"),
        (["--drain-time", "5"], r"unknown argument '--drain-time' \(did you mean '--drain-time-s'"),
        (["stray.yaml"], r"unknown argument 'stray.yaml' \(did you mean -c stray.yaml\?"),
        (["--base-id"], "--base-id: expected one argument"),
        (["--disable-hot-restart=1"], "--disable-hot-restart: ignored explicit argument '1'"),
    ],
)
def test_a_mistake_names_the_option_and_the_value(arguments: list[str], reason: str) -> None:
    with pytest.raises(UsageError, match=f"^{reason}" if reason.startswith("--") else reason):
        parse(arguments)


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert caught.value.code == 0
    page = capsys.readouterr().out
    names = {field.name for field in attrs.fields(Options)} | {"version", "hot_restart_version"}
    for name in names:
        assert f"--{name.replace('_', '-')}" in page


def test_what_concerns_restarts_is_documented() -> None:
    """Each option has a row in the page, and each row is an option."""
    page = (Path(__file__).parents[2] / "docs" / "hot-restart.md").read_text()
    section = page.partition("## The options of trioproxy")[2].partition("\n## ")[0]
    parser = Parser()
    add_restart(parser)
    add_drain(parser)
    rows = re.findall(r"^\| `(--[\w-]+)` \|", section, re.MULTILINE)
    assert set(rows) == set(parser.names) - {"--help", "--shutdown-time-s"}
