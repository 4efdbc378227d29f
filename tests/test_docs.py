"""The documentation holds: links lead somewhere, examples are sound, what is named is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from trioproxy.config.loader import load
from trioproxy.config.problems import ConfigError
from trioproxy.config.schema import schema
from trioproxy.filters.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *DOCS]
README = PAGES[0].read_text()

BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
PROGRAM = re.compile(r"(?<![\w@.,/-])(trioproxy-hot-restarter|trioproxy|scripts/\w+)(?![\w./:-])")
SNAKE = re.compile(r"[a-z]+(?:_[a-z]+)+")
FREE = {"config", "set", "add", "fields", "metadata", "metadata_match", "default_subset"}
"""Maps whose keys are the user's own."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def blocks(text: str, *languages: str) -> list[str]:
    """The code blocks in these languages, without their indentation."""
    found = BLOCK.findall(text)
    return [
        re.sub(f"^{indent}", "", body, flags=re.MULTILINE)
        for indent, language, body in found
        if language in languages
    ]


def prose(text: str) -> str:
    return BLOCK.sub("", text)


def code(text: str) -> Iterator[str]:
    """Every line of a shell's, and every word between backticks."""
    for block in blocks(text, "console", "sh", "text", ""):
        yield from block.replace("\\\n", " ").splitlines()
    yield from INLINE.findall(prose(text))


def slugs(path: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.*)$", prose(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).strip().lower().replace(" ", "-") for each in headings}


@cache
def options_of(program: str) -> frozenset[str]:
    """The options that a program of ours says it has."""
    commands = {
        "trioproxy": [["-m", "trioproxy"], ["-m", "trioproxy", "drain"]],
        "trioproxy-hot-restarter": [["scripts/hot_restarter.py"]],
        "scripts/bench": [["-m", "benchmarks"]],
        "scripts/soak": [["-m", "soak"]],
        "scripts/leaving": [["-m", "benchmarks.leaving"]],
    }
    if program not in commands:
        return frozenset(OPTION.findall((ROOT / program).read_text()))
    helps = [help_of([sys.executable, *command, "--help"]) for command in commands[program]]
    return frozenset(OPTION.findall("".join(helps))) | {"--markdown"}


def help_of(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@cache
def all_options() -> frozenset[str]:
    scripts = [f"scripts/{name}" for name in ("bench", "soak", "leaving", "check", "quickstart")]
    programs = ["trioproxy", "trioproxy-hot-restarter", *scripts]
    return frozenset().union(*map(options_of, programs))


@cache
def keys() -> frozenset[str]:
    """Every key that a configuration may have, filters included."""
    found: set[str] = set()

    def look(node: object) -> None:
        if isinstance(node, dict):
            properties = node.get("properties", {})
            found.update(properties)
            for each in (*node.values(), *properties.values()):
                look(each)
        elif isinstance(node, list):
            for each in node:
                look(each)

    look(schema(REGISTRY))
    return frozenset(found)


def keys_in(node: object) -> Iterator[str]:
    """The keys of a piece of configuration, without the user's own."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            if key not in FREE:
                yield from keys_in(value)
    elif isinstance(node, list):
        for each in node:
            yield from keys_in(each)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page.read_text())):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        assert not anchor or anchor in slugs(path), target


@every_page
def test_files_that_are_named_are_there(page: Path) -> None:
    ours = re.compile(r"(?:(?:configs|docs|scripts|tests|trioproxy)/)?(?:\w+/)*\w+\.(?:py|yaml|md)")
    places = [ROOT, ROOT / "trioproxy", ROOT / "configs", page.parent]
    for words in code(page.read_text()):
        for name in re.findall(rf"(?<![\w/.-]){ours.pattern}(?![\w/-])", words):
            if "/" in name:
                assert any((place / name).exists() for place in places), name


def whole(page: Path) -> list[str]:
    """The examples that are whole configurations: those with listeners."""
    examples = blocks(page.read_text(), "yaml")
    return [each for each in examples if re.search(r"^listeners:", each, re.MULTILINE)]


@every_page
def test_whole_configurations_are_sound(page: Path) -> None:
    for example in whole(page):
        load(None, example, REGISTRY)


@every_page
def test_keys_of_a_configuration_exist(page: Path) -> None:
    text = page.read_text()
    inline = [each for each in INLINE.findall(prose(text)) if re.match(r"\w+: ?\{.*\}$", each)]
    for example in [*blocks(text, "yaml"), *inline]:
        assert set(keys_in(yaml.load(example, yaml.BaseLoader))) <= keys(), example
    top = "|".join(schema(REGISTRY)["properties"])
    for each in INLINE.findall(prose(text)):
        if re.fullmatch(rf"(?:{top})(?:\.[a-z_]+)+", each):
            assert set(each.split(".")) <= keys(), each


@pytest.mark.parametrize("name", ["draining", "configuration"])
def test_words_that_look_like_keys_are_keys(name: str) -> None:
    text = prose((ROOT / "docs" / f"{name}.md").read_text())
    words = {each for each in INLINE.findall(text) if SNAKE.fullmatch(each)}
    statistics = {each for each in words if each.startswith("downstream_")}
    assert words - statistics <= keys()


@every_page
def test_options_exist(page: Path) -> None:
    for line in code(page.read_text()):
        if line.startswith("--"):
            assert set(OPTION.findall(line)[:1]) <= all_options(), line
        _, *commands = PROGRAM.split(line)
        for program, arguments in zip(commands[::2], commands[1::2], strict=True):
            assert set(OPTION.findall(arguments.split("#")[0])) <= options_of(program), line


@every_page
def test_python_is_python(page: Path) -> None:
    for example in blocks(page.read_text(), "python"):
        compile(example, page.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_readme_leads_to_every_page() -> None:
    targets = set(LINK.findall(README))
    assert {f"docs/{path.name}" for path in DOCS} <= targets


def test_the_readmes_filter_is_the_file() -> None:
    assert f"```python\n{(ROOT / 'configs' / 'redact.py').read_text()}```" in README


def test_the_mistake_in_the_readme_is_told_like_that() -> None:
    (example,) = whole(PAGES[0])
    with pytest.raises(ConfigError) as caught:
        load(None, example.replace("cluster: app", "cluster: ap"), REGISTRY)
    (problem,) = caught.value.problems
    assert str(problem).replace(problem.place.source, "proxy.yaml") in README


def test_the_quickstart_prints_what_the_demo_serves() -> None:
    demo = (ROOT / "configs" / "demo.yaml").read_text()
    script = (ROOT / "scripts" / "quickstart").read_text()
    asked = re.findall(r"curl (?:-\w+ )?\"?(?:telnet://)?localhost:(\d+)(/\w*)?", script)
    assert {port for port, _ in asked} == {"10000", "10001", "9901"}
    for port, path in asked:
        assert f"127.0.0.1:{port}" in demo
        assert f"localhost:{port}{path}" in demo
