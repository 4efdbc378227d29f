"""The house rules that a machine can keep: floors, who moves deadlines, file sizes, purity."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "trioproxy"
SOURCES = sorted(PACKAGE.rglob("*.py"))

FLOORS = [
    {"errors", "headers"},
    {"accesslog", "codec", "drain", "reactor", "restart", "stats", "tls"},
    {"config", "wire"},
    {"upstream"},
    {"clusters", "filters"},
    {"admin", "listener"},
    {"server"},
    {"cli"},
]
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}
PURE = ["trioproxy.errors", "trioproxy.headers", "trioproxy.codec", "trioproxy.config"]
MAX_LINES = 320


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "trioproxy":
                names = [f"trioproxy.{alias.name}" for alias in node.names]
            else:
                names = [node.module]
        rooms |= {name.split(".")[1] for name in names if name.startswith("trioproxy.")}
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_lower_floors_and_its_own_package(path: Path) -> None:
    room = room_of(path)
    if room in {"__init__", "__main__", "testing"}:
        return
    assert room in FLOOR_OF, f"{room} stands on no floor: add it to FLOORS and ARCHITECTURE.md"
    above = {
        other
        for other in imported_rooms(path) - {room}
        if FLOOR_OF.get(other, 99) >= FLOOR_OF[room]
    }
    assert not above, f"{path} on floor {FLOOR_OF[room]} reaches up or sideways to {above}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_has_two_subjects(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_only_the_drain_moves_deadlines() -> None:
    movers = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == "deadline":
                    movers.add(str(path.relative_to(PACKAGE)))
    assert movers <= {"drain/lifetime.py", "drain/sweep.py"}


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_do_not_import_trio(room: str) -> None:
    program = f"""
import importlib, pkgutil, sys
package = importlib.import_module({room!r})
for module in pkgutil.walk_packages(getattr(package, "__path__", []), {room!r} + "."):
    importlib.import_module(module.name)
sys.exit("trio" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
