"""The page that documents the protocol says what the messages are, all of it and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from types import NoneType
from typing import get_args, get_origin, get_type_hints

import attrs
import pytest

from trioproxy.restart import packets, protocol
from trioproxy.restart.wire import encode
from trioproxy.server import as_child, as_parent, search

PAGE = (Path(__file__).parents[2] / "docs" / "hot-restart-protocol.md").read_text()
SIDES = {"Child to parent": protocol.ToParent, "Parent to child": protocol.ToChild}
WORDS = {int: "whole number", float: "seconds", str: "text", bool: "true or false"}
SEQUENCE = [
    protocol.Hello,
    protocol.Welcome,
    protocol.PassListenSockets,
    protocol.ListenSockets,
    protocol.DrainListeners,
    protocol.Wait,
    protocol.Draining,
    protocol.Progress,
    protocol.Close,
    protocol.Terminate,
]


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[
        0
    ]


def messages(union: object) -> list[type]:
    """Return the messages of one side, and of what their fields consist."""
    kinds = list(get_args(union))
    for kind in kinds:  # grows while it is walked
        for hint in get_type_hints(kind).values():
            kinds += [part for part in get_args(hint) if attrs.has(part) and part not in kinds]
    return kinds


def words(hint: type) -> str:
    """Say a field's type as the page does."""
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        return f"list of {words(item)}" if attrs.has(item) else f"list of {words(item)}s"
    if NoneType in get_args(hint):
        return f"{words(get_args(hint)[0])} or null"
    return WORDS.get(hint) or f"`{hint.__name__}`"


def described(kind: type) -> str:
    """Return the cell that lists the fields of a message."""
    hints = get_type_hints(kind)
    return "; ".join(
        f"`{field.name}` {words(hints[field.name])}"
        + ("" if field.default is attrs.NOTHING else ", optional")
        for field in attrs.fields(kind)
    )


@pytest.mark.parametrize("title", SIDES)
def test_every_message_and_field_is_described(title: str) -> None:
    rows = [line.split("|")[1:4] for line in section(title).splitlines() if line.startswith("| `")]
    found = {name.strip(" `"): fields.strip() for name, fields, _ in rows}
    assert found == {kind.__name__: described(kind) for kind in messages(SIDES[title])}
    assert all(meaning.strip() for _, _, meaning in rows)


def test_the_drawing_shows_every_message_in_turn() -> None:
    drawing = section("The sequence")
    names = {kind.__name__ for union in SIDES.values() for kind in get_args(union)}
    drawn = re.findall(r"─ (\w+) ─", drawing)
    assert drawn == [kind.__name__ for kind in SEQUENCE]
    assert names - set(drawn) == {"Refused", "GiveUp"}
    assert "`Refused`" in drawing
    assert "`GiveUp`" in drawing


def test_the_example_is_a_message() -> None:
    (body,) = re.findall(r"\\x03(\[.*\])", PAGE)
    assert body.encode() == encode(protocol.Hello(1, 60.0, as_parent.LAYOUT_VERSION))


def test_features_are_listed() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", section("Compatibility"), flags=re.MULTILINE)
    assert tuple(listed) == protocol.FEATURES


@pytest.mark.parametrize(
    "said",
    [
        f"at most {packets.PIECE} bytes",
        f"at most {packets.MOST_FDS} descriptors",
        f"at most {packets.LARGEST_MESSAGE // 2**20} MiB",
        f"at most {packets.LARGEST_CREW} descriptors",
        f"| somebody at the control socket | {search.SEARCH:g},",
        f"| what it said there, and {as_child.GRACE:g} |",
        f"| Hello | {as_parent.PATIENCE:g} |",
        f"| `init_timeout` of Hello, and {as_parent.PATIENCE:g} |",
        f"| what it says to be taken | {as_parent.PATIENCE:g} |",
        f"| {as_parent.LAST_MOMENTS:g}, and {as_child.GRACE:g} |",
    ],
)
def test_figures_are_those_of_the_program(said: str) -> None:
    assert said in PAGE
