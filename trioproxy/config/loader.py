"""From files and options to a configuration that is known to be sound.

    loaded = load(Path("proxy.yaml"), None, registry)   # ConfigError: every mistake at once
    loaded.verify()                                     # imports, after `sys.path` is set up

`config` knows no filters: the caller hands in a `Registry` of classes. A class that names things
outside of the configuration, as a `python:` filter does, has a method `verify`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

from trioproxy.config.document import parse
from trioproxy.config.nodes import Node, merge
from trioproxy.config.problems import ConfigError, Place, Problem
from trioproxy.config.reader import Reader
from trioproxy.config.server import Config

if TYPE_CHECKING:
    from trioproxy.config.registry import Registry

OVERLAY = "--config-yaml"


@runtime_checkable
class Verifiable(Protocol):
    """A part that names something outside of the configuration."""

    def verify(self) -> None:
        """Look whether it is there; raises ValueError saying what is missing."""


@attrs.frozen
class Loaded:
    """A configuration and where each of its parts was written."""

    config: Config
    parts: tuple[tuple[object, Place], ...]

    def verify(self) -> None:
        """Verify every part that can be; raises ConfigError with every mistake."""
        problems = []
        for part, place in self.parts:
            if isinstance(part, Verifiable):
                try:
                    part.verify()
                except ValueError as error:
                    problems.append(Problem(place, str(error)))
        if problems:
            raise ConfigError(problems)


def load(path: Path | None, overlay: str | None, registry: Registry) -> Loaded:
    """Read the file at `path` with the YAML text `overlay` laid over it; either may be None.

    Raises ConfigError with every mistake. Binds nothing, imports nothing.
    """
    directory = path.absolute().parent if path else Path.cwd()
    reader = Reader(registry, directory)
    config = reader.read(tree(path, overlay), Config)
    reader.check_references()
    if reader.problems or not isinstance(config, Config):
        raise ConfigError(reader.problems)
    return Loaded(attrs.evolve(config, directory=directory), tuple(reader.parts))


def tree(path: Path | None, overlay: str | None) -> Node:
    """Parse what there is and lay the one over the other."""
    nodes: list[Node] = []
    problems: list[Problem] = []
    for text, source in ((file_text(path), str(path)), (overlay, OVERLAY)):
        if text is not None:
            try:
                nodes.append(parse(text, source))
            except ConfigError as error:
                problems += error.problems
    if problems:
        raise ConfigError(problems)
    return merge(nodes[0], nodes[-1]) if len(nodes) > 1 else nodes[0]


def file_text(path: Path | None) -> str | None:
    """Return the text of a file; raises ConfigError where it cannot be read."""
    try:
        return path.read_bytes().decode() if path else None
    except OSError as error:
        raise ConfigError([Problem(Place(str(path)), error.strerror or str(error))]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError([Problem(Place(str(path), line, 1), "not UTF-8 text")]) from None
