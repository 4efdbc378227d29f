"""Hosts from a file that may change.

It is looked at several times a second: a `stat` costs a microsecond and sees what inotify does not,
a change through a network file system, a bind mount, or a chain of symbolic links as Kubernetes
swaps them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

import trio

from trioproxy.clusters.finding import DiscoveryFailed
from trioproxy.clusters.listing import read_listing

if TYPE_CHECKING:
    from pathlib import Path

    from trioproxy.clusters.membership import Membership
    from trioproxy.config.discovery import WatchedFile
    from trioproxy.upstream.member import Member

Look: TypeAlias = tuple[int, ...] | None
"""What tells one state of a file from another; None where there is no file."""


async def keep_reading(membership: Membership, config: WatchedFile) -> None:
    """Read the file whenever it changed, until cancelled.

    A file that changes is read when two looks in a row found it the same, so that one that is
    written in pieces is read as a whole.
    """
    read = seen = look(config.path)
    await read_into(membership, config.path)
    while True:
        await trio.sleep(config.refresh)
        now = look(config.path)
        if now == seen != read:
            read = now
            await read_into(membership, config.path)
        seen = now


async def read_into(membership: Membership, path: Path) -> None:
    """Have the membership be what the file says, or say why not."""
    membership.attempt()
    try:
        members = await trio.to_thread.run_sync(read_file, path)
    except DiscoveryFailed as failure:
        membership.fail(str(failure))
    else:
        membership.replace(members)


def read_file(path: Path) -> tuple[Member, ...]:
    """Return the hosts that a file lists; raises DiscoveryFailed."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise DiscoveryFailed(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise DiscoveryFailed(f"{path}: not UTF-8 text") from None
    return read_listing(text, str(path), path.parent)


def look(path: Path) -> Look:
    """Return what would be different if the file were."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
