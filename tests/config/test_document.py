from __future__ import annotations

import pytest

from trioproxy.config.document import parse
from trioproxy.config.nodes import plain
from trioproxy.config.problems import ConfigError


def reasons(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_json_is_yaml() -> None:
    assert plain(parse('{"a": [1, true, null,\n\t"x\\/\\u00e9"],\t"b": {}}', "f.json")) == {
        "a": [1, True, None, "x/\u00e9"],
        "b": {},
    }


def test_an_anchor_stands_for_its_node() -> None:
    assert plain(parse("{a: &x [1], b: *x}", "f.yaml")) == {"a": [1], "b": [1]}


def test_aliases_that_stand_for_too_much_are_refused() -> None:
    lines = ["- &l0 [x]", *(f"- &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 9))]
    (reason,) = reasons("\n".join(lines))
    assert reason.endswith("aliases of this and of others stand for more than 100000 nodes")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_document_is_an_empty_map(text: str) -> None:
    assert plain(parse(text, "f.yaml")) in ({}, None)


def test_every_mistake_beside_those_of_syntax_is_found_at_once() -> None:
    assert reasons("a: 1\na: 2\n? [b]\n: 3\nc: !!int 4\nd: !mine x\ne: &e [*e]\n") == [
        "f.yaml:2:1: duplicate key 'a' (first at f.yaml:1:1)",
        "f.yaml:3:3: expected a key, found a list",
        "f.yaml:5:4: tags such as tag:yaml.org,2002:int are not supported",
        "f.yaml:6:4: tags such as !mine are not supported",
        "f.yaml:7:4: an anchor that contains itself",
    ]


@pytest.mark.parametrize(
    ("text", "place", "advice"),
    [
        ("domains: [*]", "1:11", 'quote it, "*..."'),
        ("domains:\n- *.example.org", "2:3", 'quote it, "*..."'),
        ("a: *unknown", "1:4", 'quote it, "*..."'),
        ("format: %START_TIME%", "1:9", 'quote it, "%..."'),
        ("path: @name", "1:7", 'quote it, "@..."'),
        ("address: [::1]:80", "1:11", 'quote it, "[::1]:80"'),
        ("endpoints: [[::1]:80]", "1:14", 'quote it, "[::1]:80"'),
        ("address: [fe80::1]:80", "1:19", 'quote it, "[::1]:80"'),
        ("a:\n\tb: 1", "2:1", "indent with spaces"),
    ],
)
def test_the_usual_pitfalls_come_with_advice(text: str, place: str, advice: str) -> None:
    (reason,) = reasons(text)
    assert reason.startswith(f"f.yaml:{place}: ")
    assert advice in reason


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: b: c", "1:5"),
        ('a: "never closed', "1:4"),
        ("a: [1, 2\nb: 3", "2:2"),
        ("a: 1\n---\nb: 2", "2:1"),
        ("a: 1\nb: \x07", "2:1"),
    ],
)
def test_broken_syntax_is_told_with_its_place(text: str, place: str) -> None:
    (reason,) = reasons(text)
    assert reason.startswith(f"f.yaml:{place}: ")


def test_depth_is_bounded() -> None:
    assert reasons("[" * 100_000) == ["f.yaml:1:100: nested too deeply"]


def test_a_colon_in_a_text_is_not_taken_for_an_address() -> None:
    (reason,) = reasons("a: b: c")
    assert "IPv6" not in reason


def test_an_argument_that_is_not_utf_8_is_refused() -> None:
    assert reasons("a: \udcff") == ["f.yaml: not UTF-8 text"]
