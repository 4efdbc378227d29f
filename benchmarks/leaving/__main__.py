"""The command line."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.leaving import plot
from benchmarks.leaving.works import RAMPS, TABLES, ramps
from benchmarks.process import BenchError
from benchmarks.publish import DOCS, replaced
from soak.instance import SoakError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.leaving.works import Finding

WORKS = (*TABLES, RAMPS)


def works(text: str) -> list[str]:
    """A comma-separated choice."""
    names = text.split(",")
    if unknown := set(names) - set(WORKS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; have {', '.join(WORKS)}")
    return names


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/leaving",
        description="Measures how connections leave, and move, against what was promised of it. "
        "Exit status 1 if that is not kept.",
    )
    option = parser.add_argument
    option("--works", type=works, default=list(WORKS), metavar="A,B", help=", ".join(WORKS))
    option("--scale", type=float, default=1.0, metavar="X", help="of all numbers of connections")
    option("--results", type=Path, default=Path("leaving-results"), metavar="DIRECTORY")
    option("--publish", action="store_true", help="put the results into docs/ too")
    return parser.parse_args()


def markdown(findings: Sequence[Finding]) -> str:
    """The table."""
    lines = ["| | promised | measured |", "|---|---:|---:|"]
    for each in findings:
        measured = each.measured if each.kept else f"**{each.measured}**"
        lines.append(f"| {each.what} | {each.promised} | {measured} |")
    return "\n".join(lines) + "\n"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    arguments = parse_arguments()
    gc.freeze()
    arguments.results.mkdir(parents=True, exist_ok=True)
    places = [arguments.results, *([DOCS] if arguments.publish else [])]
    findings: list[Finding] = []
    for name in arguments.works:
        if name == RAMPS:
            drawn = plot.svg(ramps(arguments.scale, say))
            for place in places:
                (place / "drain-ramps.svg").write_text(drawn)
        else:
            findings += TABLES[name](arguments.scale, say)
    table = markdown(findings)
    (arguments.results / "results.md").write_text(table)
    print(table)
    if arguments.publish and findings:
        page = DOCS / "draining.md"
        page.write_text(replaced(page.read_text(), table))
    return 0 if all(each.kept for each in findings) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (BenchError, SoakError) as error:
        sys.exit(f"leaving: {error}")
