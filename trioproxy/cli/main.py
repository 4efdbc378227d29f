"""The command `trioproxy`: serve, validate, or print what is asked for."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from socket import gethostname
from typing import TYPE_CHECKING

from trioproxy import __version__
from trioproxy.cli.arguments import UsageError, parse
from trioproxy.cli.cores import usable_cores
from trioproxy.config.loader import load
from trioproxy.config.options import Options
from trioproxy.config.problems import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from socket import socket

    from trioproxy.config.server import Config
    from trioproxy.server.generation import Generation
    from trioproxy.server.plane import DataPlane, Identity

INTERRUPTED = 130
"""The exit status of who is ended by Ctrl-C, as shells know it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status, 1 for whatever the user can mend."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        match list(arguments):
            case ["schema", *rest]:
                return print_schema(rest)
            case ["status" | "drain" as command, *rest]:
                return ask_running(command, rest)
        return run(arguments)
    except UsageError as error:
        print(f"error: {error}\ntrioproxy --help lists the options", file=sys.stderr)
    except ConfigError as error:
        print(error, file=sys.stderr)
    return 1


def ask_running(command: str, arguments: Sequence[str]) -> int:
    """Ask a running instance, or tell it; returns the exit status, raises UsageError."""
    from trioproxy.cli import remote

    try:
        return remote.status(arguments) if command == "status" else remote.drain(arguments)
    except KeyboardInterrupt:
        print(file=sys.stderr)  # ends the line that was begun
        return INTERRUPTED


def run(arguments: Sequence[str]) -> int:
    """Follow the options; raises UsageError and ConfigError."""
    given = vars(parse(arguments))
    if given.pop("version", False):
        from trioproxy.admin.version import BUILD

        print(f"trioproxy {__version__} ({BUILD})")
        return 0
    if given.pop("hot_restart_version", False):
        from trioproxy.admin.version import hot_restart_version

        print("disabled" if given.get("disable_hot_restart") else hot_restart_version())
        return 0
    given.setdefault("concurrency", usable_cores())
    try:
        options = Options(**given)
    except ValueError as error:
        raise UsageError(str(error)) from None
    config = read_config(options)
    if options.mode == "validate":
        print(f"configuration {options.source!r} OK")
        return 0
    return serve(options, config)


def read_config(options: Options) -> Config:
    """Load the configuration and look whether what it names can be imported."""
    from trioproxy.filters.registry import REGISTRY

    loaded = load(options.config_path, options.config_yaml, REGISTRY)
    sys.path[:0] = map(str, loaded.config.import_path)
    loaded.verify()
    return options.over(loaded.config)


def serve(options: Options, config: Config) -> int:
    """Serve until told to stop; returns the exit status."""
    # Late: to validate a file needs no server.
    from trioproxy.accesslog.origin import Origin
    from trioproxy.listener.assembly import open_plane
    from trioproxy.server import main as server

    def open_worker(identity: Identity) -> AbstractAsyncContextManager[DataPlane]:
        origin = Origin(gethostname(), identity.epoch, identity.worker, identity.workers)
        return open_plane(config, identity.writer, origin)

    return server.run(options, config, open_worker, serve_admin, os.environ)


async def serve_admin(generation: Generation, sock: socket) -> None:
    """Serve the admin interface of a generation, while its door is open, until cancelled."""
    await generation.admin_door.wait_open()
    # Late: nobody who starts waits for that.
    from trioproxy.admin.admin import open_admin
    from trioproxy.server.instance import AdminInstance

    allow_hosts = generation.config.admin.allow_hosts if generation.config.admin else ()
    with open_admin(AdminInstance(generation), allow_hosts) as admin:
        await generation.admin_door.keep(partial(admin.serve, sock))


def print_schema(arguments: Sequence[str]) -> int:
    """Print the JSON Schema, or with `--markdown` the reference."""
    from trioproxy.config.reference import reference
    from trioproxy.config.schema import schema
    from trioproxy.filters.registry import REGISTRY

    match list(arguments):
        case []:
            print(json.dumps(schema(REGISTRY), indent=2))
        case ["--markdown"]:
            print(reference(REGISTRY), end="")
        case _:
            raise UsageError("usage: trioproxy schema [--markdown]")
    return 0
