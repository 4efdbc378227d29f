"""What of a configuration is not for everybody's eyes, and what is shown instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.config.nodes import Plain

REDACTED = "[redacted]"
SECRET = re.compile(
    r"passw|secret|(^|[-_])tokens?$|credential|authorization|cookie|(private|api|access)[-_]?key",
    re.IGNORECASE,
)
"""What something is called, a key, a header or a parameter, whose value is a secret."""


OPAQUE = "config"
"""What a filter of one's own is made with: nobody else can tell which text in it is a secret."""


def redacted(tree: Plain, *, hidden: bool = False) -> Plain:
    """Return `tree` without the texts under a name that sounds secret; `hidden`: without any.

    The name may be the key, or stand beside the value: `{name: authorization, exact: ...}`.
    """
    if isinstance(tree, dict):
        hidden = hidden or names_a_secret(tree.get("name"))
        return {key: redacted_at(key, value, hidden=hidden) for key, value in tree.items()}
    if isinstance(tree, list):
        return [redacted(item, hidden=hidden) for item in tree]
    return REDACTED if hidden and isinstance(tree, str) else tree


def redacted_at(key: str, value: Plain, *, hidden: bool) -> Plain:
    """Return what is shown of the value under `key`."""
    if key == "name":
        return value
    if key == OPAQUE and isinstance(value, dict):
        return {name: each if is_plain_fact(each) else REDACTED for name, each in value.items()}
    return redacted(value, hidden=hidden or names_a_secret(key))


def is_plain_fact(value: Plain) -> bool:
    """Return whether this is a number, a truth or nothing: no secret."""
    return value is None or isinstance(value, int | float)


def names_a_secret(name: Plain) -> bool:
    """Return whether `name` is a text that sounds like it."""
    return isinstance(name, str) and SECRET.search(name) is not None
