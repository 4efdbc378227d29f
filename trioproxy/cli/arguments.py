"""From command-line arguments to values, each checked where it is read."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from trioproxy.config.options import LARGEST
from trioproxy.config.problems import guess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")
DESCRIPTION = "An L4/HTTP proxy that restarts itself hot, without dropping a connection."
EPILOG = (
    "`trioproxy schema` prints the JSON Schema of the configuration, for editors;"
    " `trioproxy status ADMIN` and `trioproxy drain ADMIN` speak with a running instance."
)


class UsageError(Exception):
    """The command line cannot be followed; the text is the reason."""


class Parser(argparse.ArgumentParser):
    """argparse, except that a mistake is an exception and no option may be abbreviated."""

    def __init__(self) -> None:
        super().__init__(
            "trioproxy",
            usage="%(prog)s -c FILE [options]",
            description=DESCRIPTION,
            epilog=EPILOG,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
        )
        self.names = ["--help"]

    def error(self, message: str) -> NoReturn:
        """Raise UsageError, where argparse would exit with status 2."""
        raise UsageError(message.removeprefix("argument "))

    def value(self, *names: str, read: Callable[[str], object], help: str) -> None:  # noqa: A002
        """Add an option with a value, which may be given once."""
        self.names += names
        self.add_argument(*names, action=Once, type=read, metavar=metavar(names), help=help)

    def flag(self, name: str, help: str) -> None:  # noqa: A002
        """Add an option without a value."""
        self.names.append(name)
        self.add_argument(name, action="store_true", help=help)


class Once(argparse.Action):
    """Stores a value; given twice, one of the two would silently lose."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Store the value; raises ArgumentError where there is one already."""
        if hasattr(namespace, self.dest):
            raise argparse.ArgumentError(self, "given twice")
        setattr(namespace, self.dest, values)


def metavar(names: Sequence[str]) -> str:
    """Return what stands for an option's value in the help."""
    return names[-1].rpartition("-")[2].upper()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the values that were given, and only those, by option; raises UsageError.

    Prints and exits where help is asked for.
    """
    parser = Parser()
    add_configuration(parser)
    add_restart(parser)
    add_drain(parser)
    add_log(parser)
    namespace, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise UsageError(unknown_argument(unknown[0].partition("=")[0], parser.names))
    return namespace


def unknown_argument(wrong: str, names: Sequence[str]) -> str:
    """Say what is not understood, and what may have been meant."""
    meant = guess(wrong, names) if wrong.startswith("-") else f" (did you mean -c {wrong}?)"
    return f"unknown argument {wrong!r}{meant}"


def add_configuration(parser: Parser) -> None:
    """Add what is served, by how many."""
    parser.value("-c", "--config-path", read=Path, help="the configuration, YAML or JSON")
    parser.value(
        "--config-yaml", read=str, help="YAML that is laid over the file: maps merge, lists append"
    )
    parser.value(
        "--mode",
        read=one_of("serve", "validate"),
        help="serve (the default), or validate the configuration and exit",
    )
    parser.value(
        "--concurrency",
        read=workers,
        help="workers (default: the cores that affinity and cgroup allow)",
    )
    parser.value(
        "--admin-address-path", read=Path, help="write the address of the admin interface here"
    )
    parser.flag("--version", help="print the version and exit")


def add_restart(parser: Parser) -> None:
    """Add how generations find each other."""
    parser.value("--base-id", read=whole(), help="tells instances on one host apart (default: 0)")
    parser.flag("--use-dynamic-base-id", help="choose a base id that is free; only with epoch 0")
    parser.value("--base-id-path", read=Path, help="write the base id here")
    parser.value(
        "--restart-epoch",
        read=epoch,
        help="0 (the default), the number of hot restarts before, or auto: ask who is running",
    )
    parser.value(
        "--socket-path",
        read=str,
        help="where generations meet, @ for an abstract name (default: @trioproxy_domain_socket)",
    )
    parser.value("--socket-mode", read=mode, help="the mode of that path, octal (default: 600)")
    parser.flag("--disable-hot-restart", help="meet nobody")
    parser.flag(
        "--skip-hot-restart-on-no-parent", help="where no parent answers, start as the first"
    )
    parser.flag("--hot-restart-version", help="print what generations must have in common and exit")


def add_drain(parser: Parser) -> None:
    """Add how connections leave; these win over the configuration."""
    parser.value(
        "--drain-time-s",
        read=seconds,
        help="seconds over which connections are asked to leave (default: 600)",
    )
    parser.value(
        "--drain-strategy",
        read=one_of("gradual", "immediate"),
        help="gradual (the default): spread over the drain time; or immediate: all at once",
    )
    parser.value(
        "--parent-shutdown-time-s",
        read=seconds,
        help="seconds until the parent is ended in a hot restart (default: 900)",
    )
    parser.value(
        "--shutdown-time-s",
        read=seconds,
        help="seconds that SIGTERM leaves to what is in flight (default: 25)",
    )


def add_log(parser: Parser) -> None:
    """Add what is logged, and where."""
    parser.value("-l", "--log-level", read=one_of(*LEVELS), help=f"{', '.join(LEVELS)}")
    parser.value(
        "--component-log-level", read=component_levels, help="NAME:LEVEL,... for some components"
    )
    parser.value("--log-path", read=Path, help="a file to log to (default: stderr)")
    parser.value(
        "--log-format", read=str, help="a pattern such as '[%%Y-%%m-%%d %%T.%%e][%%l] %%v'"
    )


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a reader of one of some words."""

    def read(text: str) -> str:
        if text not in choices:
            reason = f"expected {', '.join(choices[:-1])} or {choices[-1]}, found {text!r}"
            raise argparse.ArgumentTypeError(f"{reason}{guess(text, choices)}")
        return text

    return read


def whole(largest: int = LARGEST, expected: str = "a whole number") -> Callable[[str], int]:
    """Return a reader of a whole number."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > largest:
            reason = f"expected {expected} from 0 to {largest}, found {text!r}"
            raise argparse.ArgumentTypeError(reason)
        return int(text)

    return read


def workers(text: str) -> int:
    """Read a number of workers; 0 is 1, as it is to Envoy."""
    return max(1, whole(largest=1024)(text))


def seconds(text: str) -> float:
    """Read a time in seconds."""
    if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]+)?", text) or float(text) > LARGEST:
        raise argparse.ArgumentTypeError(f"expected seconds from 0 to {LARGEST}, found {text!r}")
    return float(text)


def epoch(text: str) -> int | Literal["auto"]:
    """Read the number of a generation, or `auto`."""
    return "auto" if text == "auto" else whole(expected="auto or a whole number")(text)


def mode(text: str) -> int:
    """Read permissions."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise argparse.ArgumentTypeError(f"expected an octal mode such as 600, found {text!r}")
    return int(text, 8)


def component_levels(text: str) -> tuple[tuple[str, str], ...]:
    """Read `name:level,name:level`."""
    pairs = [pair.partition(":") for pair in text.split(",")]
    for name, colon, _ in pairs:
        if not (name and colon):
            reason = f"expected NAME:LEVEL,NAME:LEVEL..., found {text!r}"
            raise argparse.ArgumentTypeError(reason)
    return tuple((name, one_of(*LEVELS)(level)) for name, _, level in pairs)
