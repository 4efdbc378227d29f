"""Tests as dialogues: a table of who says what to the proxy, and what each hears of it.

    client >> GET / HTTP/1.1 | host: a |
    origin << GET / HTTP/1.1 | host: a |
    origin >> HTTP/1.1 200 OK | content-length: 2 | | ok\\
    client << HTTP/1.1 200 OK | content-length: 2 | | ok\\
    client >> (fin)

`>>` is what a party says, `<<` what it must hear next, byte for byte. `|` is a line's end and so
is the end of a row, unless it closes with a backslash; `...` stands for anything within a line;
`\\0`, `\\n`, `\\x7c` are bytes. `(fin)`, `(reset)` and `(close)` are the ends of a stream. A party
comes in with its first row: `client` connects, `origin` accepts; `client#2` is another connection.
After the last row nobody may have heard more than the table says.
"""

from __future__ import annotations

import difflib
import re
import socket
import struct
from typing import TYPE_CHECKING

import attrs
import trio
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

PATIENCE = 5.0  # s until silence is a failure
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CRLF = b"\r\n"


class Peer:
    """One end of a TCP connection, raw: what it has heard and nobody has asked for is `heard`."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self.sock = sock
        self.heard = bytearray()
        self.end = ""

    @classmethod
    async def connect(cls, address: tuple[str, int] | str, *, buffer: int = 0) -> Peer:
        """Connect; `buffer` makes the receive buffer that small, in bytes."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        sock = trio.socket.socket(family)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await sock.connect(address)
        return cls(sock)

    async def say(self, data: bytes) -> None:
        """Send all of it."""
        with trio.fail_after(PATIENCE):
            await self.say_slowly(data)

    async def say_slowly(self, data: bytes) -> None:
        """Send all of it, however long that takes."""
        view = memoryview(data)
        while view:
            view = view[await self.sock.send(view) :]

    def say_at_once(self, data: bytes) -> int:
        """Send what the kernel takes, without a turn of the loop; returns how much that was."""
        try:
            return socket.socket.send(self.sock._sock, data)
        except BlockingIOError:
            return 0

    async def pour(self, most: int) -> int:
        """Send zeroes until no more are taken, at most so many; returns how many."""
        sent, before = 0, -1
        while before < sent < most:
            before = sent
            while taken := self.say_at_once(bytes(65536)):
                sent += taken
            await trio.testing.wait_all_tasks_blocked(0.01)
        return sent

    def finish(self) -> None:
        """Say no more, but listen."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close as a program does that exits."""
        self.sock.close()

    def reset(self) -> None:
        """Close by RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.sock.close()

    async def more(self, patience: float = PATIENCE) -> bool:
        """Hear more; False at the end, which is then in `end`."""
        if self.end:
            return False
        try:
            with trio.fail_after(patience):
                data = await self.sock.recv(65536)
        except ConnectionResetError:
            self.end = "(reset)"
            return False
        self.heard += data
        self.end = "" if data else "(fin)"
        return bool(data)

    async def line(self) -> bytes:
        """Return the next line with its end, or what there is of it at the end of the stream."""
        while CRLF not in self.heard and await self.more():
            pass
        end = self.heard.find(CRLF)
        return self.take(end + 2 if end >= 0 else len(self.heard))

    async def exactly(self, count: int) -> bytes:
        """Return so many bytes, fewer only at the end."""
        while len(self.heard) < count and await self.more():
            pass
        return self.take(count)

    async def head(self) -> bytes:
        """Return what comes before the next empty line, both line ends included."""
        lines = [await self.line()]
        while lines[-1] not in {CRLF, b""}:
            lines.append(await self.line())
        return b"".join(lines)

    async def rest(self) -> bytes:
        """Return everything up to the end."""
        while await self.more():
            pass
        return self.take(len(self.heard))

    def take(self, count: int) -> bytes:
        """Return `count` bytes of what was heard."""
        data = bytes(self.heard[:count])
        del self.heard[:count]
        return data

    def unasked(self) -> bytes:
        """Return what was heard beyond what anybody asked for, now."""
        while not self.end and self.sock.fileno() >= 0:
            try:
                data = socket.socket.recv(self.sock._sock, 65536)
            except BlockingIOError:
                break
            except ConnectionResetError:
                self.end = "(reset)"
                break
            self.heard += data
            self.end = "" if data else "(fin)"
        return bytes(self.heard)


def wire(text: str) -> bytes:
    """Return the bytes of a row, or of several: `|`, backslashes and ends as said above."""
    ended = not text.endswith("\\")
    joined = "\r\n".join(part.strip() for part in text.removesuffix("\\").split("|"))
    data = joined.encode("latin-1").decode("unicode_escape").encode("latin-1")
    return data + CRLF if ended else data


@attrs.frozen
class Row:
    """A row of the table: `text` as it stands there, `said` as bytes with `...` still in it."""

    party: str
    speaks: bool
    text: str

    @property
    def said(self) -> bytes:
        """The bytes of the row."""
        return wire(self.text)

    def __str__(self) -> str:
        return f"{self.party} {'>>' if self.speaks else '<<'} {self.text}"


def rows(table: str) -> Iterator[Row]:
    """Read a table; empty rows and comments (`#`) are for people."""
    for line in table.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            match = re.fullmatch(r"(\S+) (>>|<<) ?(.*)", stripped)
            assert match, f"not a row of a dialogue: {stripped!r}"
            yield Row(match[1], match[2] == ">>", match[3])


class Stage:
    """The parties of a dialogue; `enter(name)` brings in one that was not there yet."""

    def __init__(self, enter: Callable[[str], Awaitable[Peer]]) -> None:
        self.parties: dict[str, Peer] = {}
        self._enter = enter

    async def party(self, name: str) -> Peer:
        """Return the party called `name`."""
        if name not in self.parties:
            with trio.fail_after(PATIENCE):
                self.parties[name] = await self._enter(name)
        return self.parties[name]

    async def play(self, table: str) -> None:
        """Play a table to its end; raises AssertionError with the row that went wrong."""
        done: list[str] = []
        for row in rows(table):
            done.append(str(row))
            try:
                peer = await self.party(row.party)
                await (say(peer, row) if row.speaks else hear(peer, row))
            except trio.TooSlowError:
                heard = {name: bytes(each.heard) for name, each in self.parties.items()}
                raise AssertionError(f"nothing came:\n{_numbered(done)}\nheard: {heard}") from None
            except AssertionError as error:
                raise AssertionError(f"{error}\nin row\n{_numbered(done)}") from None
        await trio.testing.wait_all_tasks_blocked(0.005)
        unasked = {name: said for name, peer in self.parties.items() if (said := peer.unasked())}
        assert not unasked, f"heard beyond the table: {unasked}"


async def say(peer: Peer, row: Row) -> None:
    """Do what a `>>` row says."""
    match row.text:
        case "(fin)":
            peer.finish()
        case "(reset)":
            peer.reset()
        case "(close)":
            peer.close()
        case _:
            await peer.say(row.said)


async def hear(peer: Peer, row: Row) -> None:
    """Hear what a `<<` row says, or raise AssertionError with the difference."""
    if row.text in {"(fin)", "(reset)"}:
        rest = await peer.rest()
        assert (rest, peer.end) == (b"", row.text), f"expected {row.text}: {rest!r} {peer.end}"
        return
    expected = row.said.splitlines(keepends=True)
    heard = []
    for line in expected:
        whole = line.endswith(CRLF)
        heard.append(await (peer.line() if whole else peer.exactly(len(line))))
        if not _fits(line, heard[-1]):
            end = [peer.end.encode()] if peer.end else []
            raise AssertionError(
                "\n".join(_difference(expected, [*heard, bytes(peer.heard), *end]))
            )


def _fits(expected: bytes, heard: bytes) -> bool:
    pattern = re.escape(expected).replace(rb"\.\.\.", rb"[^\r\n]*")
    return re.fullmatch(pattern, heard) is not None


def _difference(expected: list[bytes], heard: list[bytes]) -> Iterator[str]:
    lines = b"".join(heard).splitlines(keepends=True)
    return difflib.unified_diff(
        [repr(line)[1:] for line in expected],
        [repr(line)[1:] for line in lines],
        "expected", "heard", lineterm="",
    )  # fmt: skip


def _numbered(done: list[str]) -> str:
    return "\n".join(f"{number:3} {text}" for number, text in enumerate(done, 1))
