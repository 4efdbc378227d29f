"""A bounded memory of pure functions: what was worked out before is one dict lookup."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memo(dict[Key, Value]):
    """`memo[key]` is what `work(key)` finds, kept if it says so; what `work` raises passes.

    `work` returns the value and whether to keep it. A full memo starts anew: whoever fills it with
    keys that never come back costs the others one more `work` each per `size` of their own, and no
    bookkeeping burdens the lookup.
    """

    __slots__ = ("_size", "_work")

    def __init__(self, work: Callable[[Key], tuple[Value, bool]], size: int = 1024) -> None:
        super().__init__()
        self._work = work
        self._size = size

    def __missing__(self, key: Key) -> Value:
        value, keep = self._work(key)
        if keep:
            if len(self) >= self._size:
                self.clear()
            self[key] = value
        return value
