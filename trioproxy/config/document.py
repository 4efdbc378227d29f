"""From YAML text to a tree of nodes, every mistake noted with its place.

PyYAML parses and composes; which text is a number or a truth value is decided by `nodes`, after
YAML 1.2, where `no` and `on` are words and `12:30` is no number. JSON is YAML.
"""

from __future__ import annotations

import re
from io import StringIO

import yaml
from yaml.resolver import BaseResolver

from trioproxy.config.composer import Composer
from trioproxy.config.nodes import Entries, Items, Node, Scalar
from trioproxy.config.problems import ConfigError, Place, Problem

TAGS = {
    BaseResolver.DEFAULT_SCALAR_TAG,
    BaseResolver.DEFAULT_SEQUENCE_TAG,
    BaseResolver.DEFAULT_MAPPING_TAG,
}

MOST_REPEATED = 100_000
"""Nodes that aliases may stand for in all: a few lines of them can say more than memory holds."""


def parse(text: str, source: str) -> Node:
    """Return the document's root; an empty document is an empty map.

    Raises ConfigError with every mistake that a reader without knowledge of the content can see:
    one of syntax, or all duplicate keys, keys that are no text, tags, and circular anchors. Aliases
    that stand for too much are told alone.
    """
    try:
        root = Composer(StringIO(text)).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise ConfigError([syntax_problem(error, text, source)]) from None
    except UnicodeEncodeError:  # an argument of the command line that is not UTF-8
        raise ConfigError([Problem(Place(source), "not UTF-8 text")]) from None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        raise ConfigError([Problem(Place(source, line, 1), error.reason)]) from None
    if root is None:
        return Entries(Place(source, 1, 1), {})
    tree = Tree(source)
    node = tree.node(root)
    if tree.problems:
        raise ConfigError(tree.problems)
    return node


class Tree:
    """Turns PyYAML's nodes into ours and notes what is wrong with them."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.open: set[int] = set()
        self.seen: set[int] = set()
        self.repeated = 0

    def place(self, mark: yaml.Mark) -> Place:
        return Place(self.source, mark.line + 1, mark.column + 1)

    def node(self, node: yaml.Node) -> Node:
        place = self.place(node.start_mark)
        if node.tag not in TAGS:
            self.problems.append(Problem(place, f"tags such as {node.tag} are not supported"))
        if id(node) in self.open:
            self.problems.append(Problem(place, "an anchor that contains itself"))
            return Items(place, ())
        self.count(node, place)
        if isinstance(node, yaml.ScalarNode):
            return Scalar(place, node.value, quoted=bool(node.style))
        self.open.add(id(node))
        try:
            return self.collection(node, place)
        finally:
            self.open.remove(id(node))

    def count(self, node: yaml.Node, place: Place) -> None:
        """Count who is met again, by an alias; raises ConfigError where that is too much."""
        if id(node) not in self.seen:
            self.seen.add(id(node))
            return
        self.repeated += 1
        if self.repeated > MOST_REPEATED:
            reason = f"aliases of this and of others stand for more than {MOST_REPEATED} nodes"
            raise ConfigError([Problem(place, reason)])

    def collection(self, node: yaml.Node, place: Place) -> Node:
        if isinstance(node, yaml.SequenceNode):
            return Items(place, tuple(map(self.node, node.value)))
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key_node, value_node in node.value:
            key, value = self.node(key_node), self.node(value_node)
            if not isinstance(key, Scalar):
                self.problems.append(Problem(key.place, f"expected a key, found {key}"))
            elif key.text in entries:
                first = entries[key.text][0].place
                reason = f"duplicate key {key.text!r} (first at {first})"
                self.problems.append(Problem(key.place, reason))
            else:
                entries[key.text] = key, value
        return Entries(place, entries)


def syntax_problem(error: yaml.MarkedYAMLError, text: str, source: str) -> Problem:
    """Say where the syntax broke and, for the usual pitfalls, what to do about it."""
    # What cannot be scanned is shown where it starts, what cannot be parsed where it breaks.
    scanning = isinstance(error, yaml.scanner.ScannerError)
    mark = (scanning and error.context_mark) or error.problem_mark
    if mark is None:
        return Problem(Place(source), str(error.problem))
    place = Place(source, mark.line + 1, mark.column + 1)
    lines = text.splitlines()
    rest = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
    return Problem(place, f"{error.problem}{pitfall(rest)}")


def pitfall(rest: str) -> str:
    """Return the advice for text that starts so, or nothing."""
    if rest.startswith("\t"):
        return " (indent with spaces, not with tabs)"
    if rest[:1] in {"*", "%", "@", "`", "&", "!"}:
        return f' (text that starts with {rest[0]} must be quoted: quote it, "{rest[0]}...")'
    if re.match(r":[:\d]", rest):
        return ' (an IPv6 address must be quoted: quote it, "[::1]:80")'
    return ""
