"""Which class reads which filter, as told by whoever knows the filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

FilterKind = Literal["network", "http", "listener"]
KINDS: tuple[FilterKind, ...] = ("network", "http", "listener")


@attrs.frozen
class Registry:
    """The filters by name, each an attrs class whose fields are read like all others.

    `later` names filters that are known and refused with 'not supported yet'.
    """

    network: Mapping[str, type] = attrs.Factory(dict)
    http: Mapping[str, type] = attrs.Factory(dict)
    listener: Mapping[str, type] = attrs.Factory(dict)
    later: tuple[str, ...] = ()

    def of(self, kind: FilterKind) -> Mapping[str, type]:
        """Return the filters of one kind."""
        return {"network": self.network, "http": self.http, "listener": self.listener}[kind]

    def name_of(self, kind: FilterKind, each: object) -> str:
        """Return the name under which the class of `each` is registered."""
        return next(name for name, known in self.of(kind).items() if known is type(each))
