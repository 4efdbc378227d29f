"""The whole configuration, and what concerns the server as a whole."""

from pathlib import Path
from typing import Annotated, Literal

import attrs

from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.drain import Rungs
from trioproxy.config.listener import Listener
from trioproxy.config.marks import Internal, Invalid, Mode, Name, Range, Unique
from trioproxy.config.tls import Tls
from trioproxy.config.units import Seconds

NOBODY = 65534


@attrs.frozen
class Admin:
    """The admin interface."""

    address: Annotated[Address, "Where it listens; keep it on loopback or a Unix socket"]
    mode: Annotated[Mode, "The permissions of a Unix socket, octal"] = "660"
    allow_hosts: Annotated[
        tuple[Name, ...],
        "Names with a dot that it may be reached by; addresses and `localhost` always do",
    ] = ()


@attrs.frozen
class Drain(Rungs):
    """How connections are asked to leave when another generation takes over."""

    time: Annotated[Seconds, "Over this time connections are asked to leave"] = 600.0
    strategy: Annotated[
        Literal["gradual", "immediate"], "Spread over that time, or all at once"
    ] = "gradual"
    parent_shutdown_time: Annotated[Seconds, "After this the old generation is ended"] = 900.0


@attrs.frozen
class Shutdown:
    """What SIGTERM and SIGINT mean."""

    time: Annotated[Seconds, "What is in flight has so long to finish"] = 25.0
    lame_duck: Annotated[Seconds, "Before that: serve on, but answer /ready with 503"] = 0.0


@attrs.frozen
class ParentSilent:
    """What a new generation does about an old one that does not answer."""

    after: Annotated[Seconds, "Silent for so long"] = 5.0
    then: Annotated[Literal["exit", "bind"], "Give up, or bind without it"] = "exit"


@attrs.frozen
class HotRestart:
    """How generations meet."""

    allow_uids: Annotated[
        tuple[Annotated[int, Range(0)], ...],
        "Users, beside root and our own, that a generation may run as",
    ] = ()
    init_timeout: Annotated[Seconds, "A new generation that is not ready by then fails"] = 60.0
    parent_silent: Annotated[ParentSilent, "An old generation that does not answer"] = (
        ParentSilent()
    )

    def __attrs_post_init__(self) -> None:
        if NOBODY in self.allow_uids:
            raise Invalid(
                f"{NOBODY} is what any unmapped user looks like and may not be allowed",
                "allow_uids",
            )


@attrs.frozen
class Config:
    """A configuration file, read."""

    listeners: Annotated[
        tuple[Listener, ...], Unique(("name", "address")), "Where connections come in"
    ] = ()
    clusters: Annotated[tuple[Cluster, ...], Unique(("name",)), "Where they go"] = ()
    admin: Annotated[Admin | None, "The admin interface; null: none"] = None
    drain: Annotated[Drain, "How connections leave"] = Drain()
    shutdown: Annotated[Shutdown, "What SIGTERM and SIGINT mean"] = Shutdown()
    hot_restart: Annotated[HotRestart, "How generations meet"] = HotRestart()
    python_path: Annotated[
        tuple[Path, ...] | None,
        "Where `python:` filters are imported from, before all else;"
        " null: the directory of this file",
    ] = None
    directory: Annotated[Path, Internal()] = Path()

    def __attrs_post_init__(self) -> None:
        for listener in self.listeners:
            if self.admin and listener.address == self.admin.address and not listener.address.free:
                raise Invalid(f"listener {listener.name!r} has this address already", "admin")

    @property
    def every_tls(self) -> tuple[Tls, ...]:
        """What its listeners and its clusters say of TLS, those that do."""
        chains = [chain.tls for listener in self.listeners for chain in listener.chains]
        clusters = [cluster.tls for cluster in self.clusters]
        return tuple(tls for tls in (*chains, *clusters) if tls is not None)

    @property
    def import_path(self) -> tuple[Path, ...]:
        """What comes first in `sys.path` for `python:` filters."""
        return (self.directory,) if self.python_path is None else self.python_path
