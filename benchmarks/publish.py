"""Puts results where they are read: `bench-results/`, and `docs/` when they are to be published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from benchmarks.process import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


@attrs.frozen
class Results:
    """One run, in the three forms in which it is read."""

    table: str
    plot: str
    document: Mapping[str, object]

    def write(self, directory: Path) -> None:
        """Table, plot and figures, in `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "results.md").write_text(self.table)
        (directory / "results.svg").write_text(self.plot)
        (directory / "results.json").write_text(json.dumps(self.document, indent=2) + "\n")

    def publish(self, docs: Path = DOCS) -> None:
        """Plot and table in the documentation, in place of the last ones."""
        page = docs / "benchmarks.md"
        text = f"![Cost per operation](benchmarks.svg)\n\n{self.table}\n{self.provenance()}\n"
        page.write_text(replaced(page.read_text(), text))
        (docs / "benchmarks.svg").write_text(self.plot)

    def provenance(self) -> str:
        """When and with what it was measured."""
        told, versions = self.document, self.document["versions"]
        assert isinstance(versions, dict)
        return (
            f"Measured {told['date']}: {told['rounds']} rounds of {told['seconds']:g} s, "
            f"Python {told['python']}, Linux {told['kernel']}; {'; '.join(versions.values())}."
        )


def replaced(page: str, text: str) -> str:
    """The page with `text` between its marks; raises BenchError where they are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise BenchError(f"the page lacks {BEGIN.strip()} or {END.strip()}")
    return before + begin + text + end + after
