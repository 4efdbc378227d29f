"""`trioproxy status` and `trioproxy drain`: what the admin interface says, on a terminal."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

from trioproxy.cli.arguments import UsageError
from trioproxy.config.address import Address

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

TIMEOUT = 5.0  # seconds for an answer
PAUSE = 0.5  # seconds between two looks
WIDTH = 30  # characters of the progress bar


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

    def left(self) -> int:
        """Return how many connections all its generations have."""
        found = cast("dict[str, list[dict[str, list[dict[str, int]]]]]", json.loads(self.ask(JSON)))
        return sum(each["open"] for one in found["generations"] for each in one["listeners"])


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
    before = admin.left()
    admin.ask("/drain_listeners", "POST")
    if given.wait:
        wait(admin, before, sys.stdout)
    return 0


def wait(admin: Admin, before: int, out: TextIO) -> None:
    """Show how many connections are left until none is: a bar on a terminal, else lines."""
    shown, left = None, before
    while left:
        if left != shown:
            line = f"{left} of {before} connections left"
            done = WIDTH * max(before - left, 0) // max(before, 1)
            bar = f"\r[{'#' * done:<{WIDTH}}] {line}\x1b[K"
            out.write(bar if out.isatty() else line + "\n")
            out.flush()
            shown = left
        time.sleep(PAUSE)
        left = admin.left()
    out.write("\r\x1b[Kdrained\n" if out.isatty() else "drained\n")


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
