"""What mypyc is known to compile into something else, kept out of the modules that it is given."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
HOOK = BUILD["targets"]["wheel"]["hooks"]["custom"]
SOURCES = sorted(path for glob in HOOK["compiled"] for path in ROOT.glob(glob))
DICT_OF = re.compile(r"\bvars\(|__dict__")
PURE = {"len", "min", "max"}


def test_what_is_compiled_is_there() -> None:
    spared = [glob for globs in HOOK["plain"].values() for glob in globs]
    assert all(list(ROOT.glob(glob)) for glob in [*HOOK["compiled"], *spared])


def calls_in_bounds(tree: ast.AST) -> list[str]:
    """The slices of which a bound calls something that may not be called twice."""
    slices = [node for node in ast.walk(tree) if isinstance(node, ast.Slice)]
    return [ast.unparse(each) for each in slices if any(map(calls, ast.walk(each)))]


def calls(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return not (isinstance(node.func, ast.Name) and node.func.id in PURE)
    return isinstance(node, ast.Await)


def reused_names(function: ast.AST) -> set[str]:
    """The names that several `except ... as name` of a function share, for errors of any kind."""
    handlers = [node for node in ast.walk(function) if isinstance(node, ast.ExceptHandler)]
    kinds = {(node.name, ast.unparse(node.type)) for node in handlers if node.name and node.type}
    names = [name for name, _ in kinds]
    return {name for name in names if names.count(name) > 1}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_slice_bounds_call_nothing(path: Path) -> None:
    """Compiled, the call is made twice."""
    assert calls_in_bounds(ast.parse(path.read_text())) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_kind_of_error_has_its_own_name(path: Path) -> None:
    """Compiled, the name has the type of the first error, and the second one is a TypeError."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(path.read_text())
    found = {
        node.name: reused_names(node) for node in ast.walk(tree) if isinstance(node, functions)
    }
    assert not any(found.values()), found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_asks_for_the_dict_of_an_object(path: Path) -> None:
    """Compiled, it has none; modules with attrs classes are not."""
    source = path.read_text()
    assert "import attrs" in source or not DICT_OF.search(source)


def test_the_rules_see_what_they_forbid() -> None:
    assert calls_in_bounds(ast.parse("data[: take()]")) == [":take()"]
    assert calls_in_bounds(ast.parse("data[len(head) :]")) == []
    source = "try: pass\nexcept A as error: pass\nexcept B as error: pass\nexcept A as other: pass"
    assert reused_names(ast.parse(source)) == {"error"}
    assert DICT_OF.search("for name in vars(record):")
