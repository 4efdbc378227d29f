"""What a field of a configuration class can say about itself beyond its type.

A field is annotated `Annotated[<type>, <marks...>, "its meaning"]`; the reader, the JSON Schema and
the table of defaults are all made from that. A bare string is the meaning; the other marks are
the units (`trioproxy.config.units`) and the classes below. A class can also carry

- `later: ClassVar[tuple[str, ...]]`: keys that are known and refused with 'not supported yet';
- `short: ClassVar[str]`: the field that a bare scalar stands for;
- `__attrs_post_init__`, raising `Invalid` where its fields do not fit each other.
"""

import re
from typing import Annotated, Literal

import attrs

from trioproxy.config.registry import FilterKind


class Invalid(ValueError):
    """Fields of one class do not fit each other; `field` is where the mistake is shown."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.field = field


@attrs.frozen
class Range:
    """The smallest and largest value of a number."""

    minimum: int
    maximum: int = 2**32 - 1

    @property
    def expected(self) -> str:
        """What a mistake is told."""
        if self.maximum < 2**32 - 1:
            return f"a whole number from {self.minimum} to {self.maximum}"
        return f"a whole number of at least {self.minimum}"


@attrs.frozen
class Matching:
    """A text that fully matches `pattern`; `expected` describes it to people."""

    pattern: str
    expected: str

    def accepts(self, text: str) -> bool:
        """Say whether `text` is such a text."""
        return re.fullmatch(self.pattern, text) is not None


@attrs.frozen
class Length:
    """The smallest number of items of a sequence."""

    minimum: int


@attrs.frozen
class Later:
    """Values that are known and refused with 'not supported yet'."""

    values: tuple[str, ...]


@attrs.frozen
class RefersTo:
    """A name that must be declared: the `name` of an item of this part."""

    part: Literal["cluster"]


@attrs.frozen
class Declares:
    """A name that others may refer to."""

    part: Literal["cluster"]


@attrs.frozen
class Unique:
    """Fields of a sequence's items of which no two may be equal.

    Where the field is itself a sequence, none of its members may occur twice.
    """

    fields: tuple[str, ...]


@attrs.frozen
class OneOf:
    """A one-key map `{name: {...}}`, read as the class that this part of the registry names."""

    part: FilterKind


@attrs.frozen
class Internal:
    """A field that the program fills and no file may set."""


Count = Annotated[int, Range(1)]
Port = Annotated[int, Range(1, 65535)]
Name = Annotated[str, Matching(r"\S(.*\S)?", "a name")]
ClusterName = Annotated[str, RefersTo("cluster")]
Mode = Annotated[str, Matching(r"0?[0-7]{3}", 'an octal mode such as "660"')]
