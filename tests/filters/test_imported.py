from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from trioproxy.config.loader import load
from trioproxy.config.problems import ConfigError
from trioproxy.filters.http.python import PythonHttpFilter
from trioproxy.filters.imported import Imported
from trioproxy.filters.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = """
import attrs

class Redact:
    def __init__(self, words, *, mask="***"):
        if not words:
            raise ValueError("no words")
        self.words, self.mask = words, mask

    async def __call__(self, exchange, forward):
        await forward(exchange)

@attrs.frozen
class Frozen:
    seconds: float

    async def __call__(self, exchange, forward):
        await forward(exchange)

class Child(Redact):
    pass

class Prepared:
    def prepare(self, tools):
        return self

class Greedy(Redact):
    def __init__(self, **config):
        super().__init__(["x"])

class Mute:
    pass

class Sync:
    def __call__(self, exchange, forward):
        return forward(exchange)

class Outer:
    class Inner(Redact):
        pass

async def hello(exchange, forward, greeting):
    await exchange.respond(200, greeting)

def plain(exchange, forward):
    return forward(exchange)

number = 7
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of the user's that is searched first."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "mine.py").write_text(SOURCE)
    importlib.invalidate_caches()
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("mine:Redact", {"words": ["a"]}),
        ("mine:Redact", {"words": ["a"], "mask": "-"}),
        ("mine:Frozen", {"seconds": 1.5}),
        ("mine:Child", {"words": ["a"]}),
        ("mine:Prepared", {}),
        ("mine:Greedy", {"anything": 1}),
        ("mine:Outer.Inner", {"words": ["a"]}),
        ("mine:hello", {"greeting": "hi"}),
    ],
)
def test_what_fits_is_made(name: str, config: dict[str, object]) -> None:
    Imported(name, config).verify()
    assert callable(Imported(name, config).make()) or name == "mine:Prepared"


@pytest.mark.parametrize(
    ("name", "config", "reason"),
    [
        ("mime:Redact", {}, "no module 'mime' in {folder}, "),
        ("mine.deeper:Redact", {}, "no module 'mine.deeper' in {folder}, "),
        ("mine:Redcat", {}, "mine has no 'Redcat' (did you mean 'Redact'?)"),
        ("mine:Redact.Inner", {}, "mine has no 'Redact.Inner'"),
        ("mine:Redact", {}, "mine:Redact needs 'words'"),
        (
            "mine:Redact",
            {"word": ["a"]},
            "mine:Redact does not take 'word' (did you mean 'words'?) and needs 'words'",
        ),
        ("mine:Frozen", {"secs": 1}, "mine:Frozen does not take 'secs'"),
        (
            "mine:Redact",
            {"words": []},
            "mine:Redact cannot be made: ValueError: no words (",
        ),
        ("mine:Mute", {}, "mine:Mute has no `async def __call__(self, exchange, forward)`"),
        ("mine:Sync", {}, "mine:Sync has a `__call__` that is not `async def`"),
        ("mine:plain", {}, "mine:plain is neither a class nor an `async def` function"),
        ("mine:number", {}, "mine:number is neither a class nor an `async def` function"),
        ("mine:hello", {}, "mine:hello needs 'greeting'"),
    ],
)
def test_what_does_not_fit_is_told(
    folder: Path, name: str, config: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError) as refused:
        Imported(name, config).verify()
    assert str(refused.value).startswith(reason.format(folder=folder))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = 1\ny = z", "NameError: name 'z' is not defined ({folder}/broken.py:2)"),
        ("def f(:", "SyntaxError: invalid syntax ({folder}/broken.py:1)"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere' ({folder}/broken.py:1)"),
        ("raise SystemExit(2)", "SystemExit: 2 ({folder}/broken.py:1)"),
        ("assert False", "AssertionError ({folder}/broken.py:1)"),
    ],
)
def test_a_module_that_fails_is_told_with_its_place(folder: Path, source: str, reason: str) -> None:
    (folder / "broken.py").write_text(source)
    with pytest.raises(ValueError) as refused:
        Imported("broken:Redact").verify()
    assert str(refused.value) == f"importing broken failed: {reason.format(folder=folder)}"


def test_the_import_path_comes_first_and_once(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "elsewhere.py").write_text(SOURCE)
    for _ in range(2):
        Imported("elsewhere:Frozen", {"seconds": 1}).make([other, tmp_path])
    assert sys.path[:2] == [str(other), str(tmp_path)]
    assert sys.path.count(str(other)) == 1


def test_a_configuration_is_refused_at_the_line(folder: Path) -> None:
    """A02: what a `python` filter names is checked, and told by line with everything else."""
    path = folder / "proxy.yaml"
    path.write_text(
        """\
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes: [{match: {prefix: /}, direct_response: {status: 200}}]
      http_filters:
      - python: mine:Redcat
      - python: {filter: "mine:Frozen", config: {secs: 1}}
      - router: {}
- name: lines
  address: 127.0.0.1:1
  filters: [{python: {filter: lines:Echo}}]
"""
    )
    with pytest.raises(ConfigError) as refused:
        load(path, None, REGISTRY).verify()
    *http, network = str(refused.value).splitlines()
    assert http == [
        f"{path}:9:17: mine has no 'Redcat' (did you mean 'Redact'?)",
        f"{path}:10:17: mine:Frozen does not take 'secs' (did you mean 'seconds'?)"
        " and needs 'seconds'",
    ]
    assert network.startswith(f"{path}:14:22: no module 'lines' in {folder}, ")


def test_the_short_form_is_the_class_alone(folder: Path) -> None:
    text = """
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes: [{match: {prefix: /}, direct_response: {status: 200}}]
      http_filters: [{python: mine:Redact}, {router: }]
"""
    (listener,) = load(None, text, REGISTRY).config.listeners
    (manager,) = listener.chains[0].filters
    assert manager.http_filters[0] == PythonHttpFilter("mine:Redact")  # type: ignore[attr-defined]
