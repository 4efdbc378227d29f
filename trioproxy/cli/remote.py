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
from typing import TYPE_CHECKING, NoReturn, NotRequired, TypedDict

import attrs

from trioproxy.cli.arguments import UsageError
from trioproxy.config.address import Address

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self, TextIO

TIMEOUT = 15.0  # seconds for an answer: a stopped worker is waited for
PAUSE = 0.5  # seconds between two looks
WIDTH = 30  # characters of the progress bar


class Listening(TypedDict):
    """What is needed of a listener in `/generations`."""

    open: int
    next: NotRequired[float | None]


class Generation(TypedDict):
    """What is needed of a generation; who leaves last is first among the connections."""

    epoch: int
    listeners: list[Listening]
    connections: NotRequired[list[dict[str, str]]]


@attrs.frozen
class Left:
    """What a generation has: so many connections, the seconds until the first has to be gone.

    `last` is who leaves last, and why.
    """

    epoch: int
    count: int = 0
    next: float | None = None
    last: str = ""

    @classmethod
    def found(cls, generation: Generation) -> Self:
        """Count the connections at all its listeners; raises LookupError and TypeError."""
        listeners = generation["listeners"]
        following = [due for each in listeners if (due := each.get("next")) is not None]
        last = [each["words"] for each in generation.get("connections", [])]
        count = sum(each["open"] for each in listeners)
        return cls(generation["epoch"], count, min(following, default=None), "".join(last[:1]))

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
        except UnicodeDecodeError as error:
            raise self._no_admin() from error
        finally:
            self.close()
        if answer.status >= 400:
            raise UsageError(f"the admin interface refuses: {body.strip()}")
        return body

    def generations(self) -> list[Left]:
        """Return what is left in each generation, first in the one that answers.

        Raises UsageError where nobody says that.
        """
        body = self.ask(JSON)
        try:
            found = list(map(Left.found, json.loads(body)["generations"]))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._no_admin() from error
        if not found:
            raise self._no_admin()
        return found

    def left(self, epoch: int) -> Left:
        """Return what is left in one generation, nothing once it is gone; raises UsageError."""
        return next((each for each in self.generations() if each.epoch == epoch), Left(epoch))

    def _no_admin(self) -> UsageError:
        return UsageError(f"what answers at {self._address} is not trioproxy's admin interface")


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
    """Have the listeners drained; with `--wait`, return when nobody is left. Raises UsageError.

    A generation that takes over meanwhile is not waited for.
    """
    given = parse("drain", arguments)
    admin = Admin(given.admin)
    before, *_ = admin.generations()
    admin.ask("/drain_listeners", "POST")
    if given.wait:
        wait(admin, before, sys.stdout)
    return 0


def wait(admin: Admin, before: Left, out: TextIO) -> None:
    """Show how many connections are left until none is: a bar on a terminal, else lines."""
    shown = None
    while (left := admin.left(before.epoch)).count:
        if out.isatty():
            out.write(f"\r{bar(left, before.count)}\x1b[K")
        elif left.count != shown:
            out.write(left.of(before.count) + "\n")
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
        return Address.parse(Path(text).read_text().strip() if Path(text).is_file() else text)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
