"""A family: the handles of one scope, declared as annotations and made at once.

    class FaultStats(Family):
        delays_injected: Counter
        active_faults: Gauge

    faults = FaultStats(writer, "http.ingress.fault")
    faults.delays_injected.add()  # http.ingress.fault.delays_injected

A module that declares families does without `from __future__ import annotations`: the classes
in the annotations are what is made.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.stats.writer import Writer


class Family:
    """The handles of one scope; each attribute is the last part of its statistic's name."""

    def __init__(self, writer: Writer, scope: str) -> None:
        self.scope = sanitized(scope)
        declared = inspect.get_annotations(type(self))
        names = ((kind, f"{self.scope}.{name}") for name, kind in declared.items())
        vars(self).update(zip(declared, writer.handles(names), strict=True))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.scope}>"


def sanitized(scope: str) -> str:
    """Return `scope` as it stands in a name: a colon is an underscore, as in Envoy."""
    return scope.replace(":", "_")
