"""`trioproxy status` and `trioproxy drain`: what the admin interface says, on a terminal."""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, NotRequired, TypedDict, cast

import attrs

from trioproxy.cli.arguments import UsageError
from trioproxy.config.address import Address

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

TIMEOUT = 5.0  # seconds for an answer
PAUSE = 0.5  # seconds between two looks
WIDTH = 30  # characters of the progress bar


class Listening(TypedDict):
    """What is needed of a listener in `/generations`."""

    open: int
    next: NotRequired[float | None]


class Generation(TypedDict):
    """What is needed of a generation; who leaves last is first among the connections."""

    listeners: list[Listening]
    connections: NotRequired[list[dict[str, str]]]


@attrs.frozen
class Left:
    """So many connections; the seconds until the first has to be gone; who leaves last, and why."""

    count: int
    next: float | None = None
    last: str = ""

    def of(self, before: int) -> str:
        """Say that in a line."""
        following = "" if self.next is None else f", next in {self.next:.0f} s"
        last = f", last {self.last}" if self.last else ""
        return f"{self.count} of {max(before, self.count)} connections left{following}{last}"


class Admin(http.client.HTTPConnection):
    """The admin interface of a running instance, one request on each connection."""

    def __init__(self, address: Address) -> None:
        super().__init__(address.host or "localhost", address.port, timeout=TIMEOUT)
        self._address = address

    def connect(self) -> None:
        """Connect, to a Unix socket too; raises OSError."""
        self.sock = socket.socket(self._address.family)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._address.sockaddr)

    def ask(self, path: str, method: str = "GET") -> str:
        """Return the answer's body; raises UsageError where there is none, or a refusal."""
        try:
            self.request(method, path, headers={"connection": "close"})
            answer = self.getresponse()
            body = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise UsageError(
                f"no answer from the admin interface at {self._address}: {error}"
            ) from error
        finally:
            self.close()
        if answer.status >= 400:
            raise UsageError(f"the admin interface refuses: {body.strip()}")
        return body

    def left(self) -> Left:
        """Return what connections all its generations have."""
        found = cast("list[Generation]", json.loads(self.ask(JSON))["generations"])
        listeners = [each for generation in found for each in generation["listeners"]]
        following = [due for each in listeners if (due := each.get("next")) is not None]
        last = [each["words"] for each in found[-1].get("connections", [])]
        count = sum(each["open"] for each in listeners)
        return Left(count, min(following, default=None), last[0] if last else "")


class CommandParser(argparse.ArgumentParser):
    """argparse, except that a mistake is an exception."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError, where argparse would exit with status 2."""
        raise UsageError(message)


JSON = "/generations?format=json"


def status(arguments: Sequence[str]) -> int:
    """Print who serves, who leaves and how far that is; raises UsageError."""
    admin = Admin(parse("status", arguments).admin)
    print(admin.ask("/generations"), end="")
    return 0


def drain(arguments: Sequence[str]) -> int:
    """Have the listeners drained; with `--wait`, return when nobody is left. Raises UsageError."""
    given = parse("drain", arguments)
    admin = Admin(given.admin)
    before = admin.left().count
    admin.ask("/drain_listeners", "POST")
    if given.wait:
        wait(admin, before, sys.stdout)
    return 0


def wait(admin: Admin, before: int, out: TextIO) -> None:
    """Show how many connections are left until none is: a bar on a terminal, else lines."""
    shown = None
    while (left := admin.left()).count:
        if out.isatty():
            out.write(f"\r{bar(left, before)}\x1b[K")
        elif left.count != shown:
            out.write(left.of(before) + "\n")
        out.flush()
        shown = left.count
        time.sleep(PAUSE)
    out.write("\r\x1b[Kdrained\n" if out.isatty() else "drained\n")


def bar(left: Left, before: int) -> str:
    """Return a progress bar with what is to be said, no longer than a line of the terminal."""
    done = WIDTH * max(before - left.count, 0) // max(before, 1)
    line = f"[{'#' * done:<{WIDTH}}] {left.of(before)}"
    return line[: shutil.get_terminal_size().columns - 1]


def parse(command: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Read the arguments of a command; raises UsageError."""
    parser = CommandParser(f"trioproxy {command}")
    parser.add_argument(
        "admin",
        type=address,
        help="the admin interface: host:port, unix:PATH, or a file that holds one of them"
        " (--admin-address-path)",
    )
    if command == "drain":
        parser.add_argument("--wait", action="store_true", help="until no connection is left")
    return parser.parse_args(arguments)


def address(text: str) -> Address:
    """Read an address, or the one in a file; raises ArgumentTypeError."""
    try:
        return Address.parse(Path(text).read_text() if Path(text).is_file() else text)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
