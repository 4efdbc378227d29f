"""Changes to header fields."""

from collections.abc import Mapping
from typing import Annotated

import attrs

from trioproxy.accesslog.format import compile_value
from trioproxy.config.marks import Invalid
from trioproxy.headers import Headers

FRAMING = frozenset({"connection", "content-length", "host", "transfer-encoding"})


@attrs.frozen
class HeaderOperations:
    """First `remove`, then `set`, then `add`; names in any case."""

    set: Annotated[Mapping[str, str], "Replace every field of the name, or add one"] = (
        attrs.Factory(dict)
    )
    add: Annotated[Mapping[str, str], "Add one more field of the name"] = attrs.Factory(dict)
    remove: Annotated[tuple[str, ...], "Remove every field of the name"] = ()

    def __attrs_post_init__(self) -> None:
        for operation in ("set", "add"):
            fields: Mapping[str, str] = getattr(self, operation)
            for name, value in fields.items():
                check(operation, name, value)
        for name in self.remove:
            check("remove", name, "")

    def __bool__(self) -> bool:
        return bool(self.set or self.add or self.remove)


UNCHANGED = HeaderOperations()


def check(operation: str, name: str, value: str) -> None:
    """Raise Invalid where the change could break a message, or its framing."""
    if name.lower() in FRAMING:
        raise Invalid(f"{name} frames or addresses the message and cannot be changed", operation)
    try:
        Headers().add(name, value)
        compile_value(value)
    except ValueError as error:
        raise Invalid(str(error), operation) from None
