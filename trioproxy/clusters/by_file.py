"""Hosts from a file that may change.

It is looked at several times a second: a `stat` sees what inotify does not, a change through a
network file system, a bind mount, or a chain of symbolic links as Kubernetes swaps them. A file
system may also hang, so every look is a thread's, one at a time, and nobody waits for its end.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import trio

from trioproxy.clusters.finding import DiscoveryFailed
from trioproxy.clusters.listing import LARGEST_TEXT, read_listing

if TYPE_CHECKING:
    from pathlib import Path

    from trioproxy.clusters.membership import Membership
    from trioproxy.config.discovery import WatchedFile
    from trioproxy.upstream.member import Member

Look: TypeAlias = tuple[int, ...] | None
"""What tells one state of a file from another; None where there is no file."""

UNREAD: Look = ()
"""Like no file that there is."""


class Unreadable(DiscoveryFailed):
    """The system did not let the file be read, this time."""


async def keep_reading(membership: Membership, config: WatchedFile) -> None:
    """Read the file whenever it changed, until cancelled.

    A file that changes is read when two looks in a row found it the same, so that one that is
    written in pieces is read as a whole. One that is there and cannot be read is tried again.
    """
    threads = trio.CapacityLimiter(1)
    in_thread = partial(trio.to_thread.run_sync, abandon_on_cancel=True, limiter=threads)
    read, seen = UNREAD, await in_thread(look, config.path)
    now = seen
    while True:
        if now == seen != read:
            membership.attempt()
            try:
                membership.replace(await in_thread(read_file, config.path))
                read = now
            except DiscoveryFailed as failure:
                membership.fail(str(failure))
                transient = isinstance(failure, Unreadable) and now is not None
                read = UNREAD if transient else now
        seen = now
        await trio.sleep(config.refresh)
        now = await in_thread(look, config.path)


def read_file(path: Path) -> tuple[Member, ...]:
    """Return the hosts that a file lists; raises DiscoveryFailed."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_TEXT + 1)
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    if len(data) > LARGEST_TEXT:
        raise DiscoveryFailed(f"{path}: more than {LARGEST_TEXT} bytes")
    try:
        return read_listing(data.decode(), str(path), path.parent)
    except UnicodeDecodeError:
        raise DiscoveryFailed(f"{path}: not UTF-8 text") from None


def look(path: Path) -> Look:
    """Return what would be different if the file were."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
