"""A list of endpoints as text, YAML or JSON, written like those of a cluster's configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import attrs

from trioproxy.clusters.finding import DiscoveryFailed
from trioproxy.config.document import parse
from trioproxy.config.endpoint import Endpoint, check_localities
from trioproxy.config.marks import Unique
from trioproxy.config.nodes import Entries, Items, Node, Scalar
from trioproxy.config.problems import ConfigError, Place
from trioproxy.config.reader import Reader
from trioproxy.config.registry import Registry
from trioproxy.upstream.member import Member, member

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_TEXT = 16 * 2**20  # bytes
MOST_MISTAKES = 3  # told of one list


@attrs.frozen
class Listing:
    """What stands in the file."""

    endpoints: Annotated[tuple[Endpoint, ...], Unique(("address",)), "The hosts"]

    def __attrs_post_init__(self) -> None:
        check_localities(self.endpoints, "endpoints")


def read_listing(text: str, source: str, directory: Path) -> tuple[Member, ...]:
    """Return the hosts that `text` lists; raises DiscoveryFailed with what is wrong, and where.

    It may be a map with the key `endpoints`, or the list alone. Relative paths of Unix sockets are
    taken from `directory`. Takes its time: to be called in a thread.
    """
    try:
        return _read(_quickly_parsed(text, source), directory)
    except (ConfigError, ValueError, RecursionError):
        pass  # YAML, or a mistake that the slow parser knows the place of
    try:
        return _read(parse(text, source), directory)
    except ConfigError as error:
        problems = [str(each) for each in error.problems]
        more = len(problems) - MOST_MISTAKES
        told = problems[:MOST_MISTAKES] + ([f"and {more} more mistakes"] if more > 0 else [])
        raise DiscoveryFailed("; ".join(told)) from None


def _read(root: Node, directory: Path) -> tuple[Member, ...]:
    reader = Reader(Registry(), directory)
    if isinstance(root, Items):
        root = Entries(root.place, {"endpoints": (Scalar(root.place, "endpoints"), root)})
    listing = reader.read(root, Listing)
    if reader.problems or not isinstance(listing, Listing):
        raise ConfigError(reader.problems)
    return tuple(member(each) for each in listing.endpoints)


def _quickly_parsed(text: str, source: str) -> Node:
    """Parse JSON a hundred times faster than YAML, but without places; raises ValueError."""
    place = Place(source)

    def node(value: object) -> Node:
        match value:
            case dict():
                return Entries(place, {k: (Scalar(place, k), node(v)) for k, v in value.items()})
            case list():
                return Items(place, tuple(map(node, value)))
            case str():
                return Scalar(place, value, quoted=True)
            case _:
                return Scalar(place, json.dumps(value))

    return node(json.loads(text, object_pairs_hook=_distinct))


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object; raises ValueError where a key occurs twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key twice")
    return made
