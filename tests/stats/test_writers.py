"""Whatever statistic is declared is written somewhere: none is shown that can never count.

This looks for uses in the sources: a handle that is written (`stats.rq_total.add()`), or handed on
to whoever writes it. A name that several families declare must be used as often.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import trioproxy

PACKAGE = Path(trioproxy.__file__).parent
NODES = [node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
ATTRIBUTES = [node for node in NODES if isinstance(node, ast.Attribute)]
FAMILIES = {
    node.name: [ast.unparse(part.target) for part in node.body if isinstance(part, ast.AnnAssign)]
    for node in NODES
    if isinstance(node, ast.ClassDef) and "Family" in map(ast.unparse, node.bases)
}
DECLARED = Counter(name for names in FAMILIES.values() for name in names)
WRITTEN = Counter(
    node.value.attr
    for node in ATTRIBUTES
    if node.attr in {"add", "set", "record"} and isinstance(node.value, ast.Attribute)
)
INNER = {id(node.value) for node in ATTRIBUTES}
HANDED_ON = Counter(
    node.attr
    for node in ATTRIBUTES
    if id(node) not in INNER
    and re.search(r"(stats|Stats\(.*\)|self|full)$", ast.unparse(node.value))
)


def test_there_are_families() -> None:
    assert {"HttpStats", "ClusterStats", "FaultStats"} <= FAMILIES.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_made(family: str) -> None:
    calls = [node for node in NODES if isinstance(node, ast.Call)]
    made = {ast.unparse(part) for call in calls for part in (call.func, *call.args)}
    assert family in made


@pytest.mark.parametrize("name", DECLARED)
def test_every_statistic_has_its_writer(name: str) -> None:
    assert WRITTEN[name] + HANDED_ON[name] >= DECLARED[name]
