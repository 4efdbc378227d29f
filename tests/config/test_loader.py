from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from trioproxy.config.loader import load
from trioproxy.config.problems import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from trioproxy.config.registry import Registry


@pytest.fixture
def file(tmp_path: Path, good: str) -> Path:
    path = tmp_path / "proxy.yaml"
    path.write_text(good)
    return path


def test_every_mistake_is_found_at_once(tmp_path: Path, bad: str, registry: Registry) -> None:
    """A02: each with file, line and column, what was expected and what may have been meant."""
    path = tmp_path / "bad.yaml"
    path.write_text(bad)
    with pytest.raises(ConfigError) as caught:
        load(path, None, registry)
    assert str(caught.value).replace(str(path), "bad.yaml").splitlines() == [
        "bad.yaml:1:1: unknown key 'drian' (did you mean 'drain'?)",
        "bad.yaml:4:12: 'localhost' is not a literal IPv4 address; only `discovery` looks names up"
        " (did you mean 127.0.0.1?)",
        "bad.yaml:5:3: unknown key 'adress' (did you mean 'address'?)",
        "bad.yaml:6:29: unknown cluster 'ap' (did you mean 'app'?)",
        "bad.yaml:6:36: unknown network filter 'tpc' (did you mean 'tcp'?)",
        "bad.yaml:7:9: duplicate name 'web' (first at bad.yaml:3:9)",
        "bad.yaml:11:10: expected one of certificate and certificates",
        "bad.yaml:16:29: duplicate domain 'a' (first at bad.yaml:16:21)",
        "bad.yaml:18:38: prefix and path exclude each other",
        "bad.yaml:19:44: expected a duration such as 5s, 250ms or 1h, found '15'"
        " (did you mean 15s?)",
        "bad.yaml:20:28: not a regular expression:"
        " missing ), unterminated subpattern at position 0",
        "bad.yaml:21:39: expected a whole number from 200 to 599, found 'yes'",
        "bad.yaml:24:14: expected one of round_robin, least_request, random, ring_hash, maglev,"
        " found 'ring-hash' (did you mean 'ring_hash'?)",
        "bad.yaml:25:3: 'drain' is not supported yet",
        "bad.yaml:26:47: expected a whole number from 1 to 1000000, found 0",
    ]


def test_a_configuration_survives_the_way_to_another_process(
    file: Path, registry: Registry
) -> None:
    config = load(file, None, registry).config
    assert pickle.loads(pickle.dumps(config)) == config


def test_relative_paths_are_relative_to_the_file(file: Path, registry: Registry) -> None:
    config = load(file, None, registry).config
    assert config.admin is not None
    assert config.admin.address.path == str(file.parent / "admin.sock")
    assert config.import_path == (file.parent / "filters",)


def test_filters_are_imported_from_beside_the_file_unless_said_otherwise(
    file: Path, registry: Registry
) -> None:
    file.write_text("{}")
    assert load(file, None, registry).config.import_path == (file.parent,)


def test_a_relative_file_has_an_absolute_directory(
    file: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    assert load(file.relative_to(file.parent), None, registry).config.directory == file.parent


def test_text_alone_is_relative_to_the_working_directory(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, "{}", registry).config.directory == tmp_path


def test_text_is_laid_over_the_file(file: Path, registry: Registry) -> None:
    over = "{admin: {address: 127.0.0.1:1}, clusters: [{name: b, endpoints: [127.0.0.1:2]}]}"
    config = load(file, over, registry).config
    assert config.admin is not None
    assert str(config.admin.address) == "127.0.0.1:1"
    assert [cluster.name for cluster in config.clusters] == ["app", "b"]


def test_mistakes_are_told_for_the_source_that_they_stand_in(
    file: Path, registry: Registry
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file, "clusters: [{name: app, endpoints: [x]}]", registry)
    assert [str(problem.place) for problem in caught.value.problems] == [
        "--config-yaml:1:19",
        "--config-yaml:1:36",
    ]
    assert f"first at {file}:19:9" in caught.value.problems[0].reason


def test_broken_syntax_in_both_sources_is_told_at_once(file: Path, registry: Registry) -> None:
    file.write_text("a: [")
    with pytest.raises(ConfigError) as caught:
        load(file, "{", registry)
    assert {problem.place.source for problem in caught.value.problems} == {
        str(file),
        "--config-yaml",
    }


def test_json_files_work(tmp_path: Path, registry: Registry) -> None:
    path = tmp_path / "proxy.json"
    path.write_text('{"clusters": [{"name": "a",\n\t"endpoints": ["127.0.0.1:1"]}]}')
    assert load(path, None, registry).config.clusters[0].name == "a"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "{path}: No such file or directory"),
        (b"a: 1\nb: \xff", "{path}:2:1: not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_read(
    tmp_path: Path, registry: Registry, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "proxy.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path, None, registry)
    assert str(caught.value) == reason.format(path=path)


def test_verifying_tells_every_part_that_is_missing(registry: Registry) -> None:
    text = (
        "listeners:\n- name: a\n  address: 127.0.0.1:1\n  filters:\n  - http:\n"
        "      http_filters:\n"
        "      - python: {filter: missing:A}\n"
        "      - python: {filter: there:B}\n"
        "      - python: {filter: missing:C}\n"
    )
    loaded = load(None, text, registry)
    with pytest.raises(ConfigError) as caught:
        loaded.verify()
    assert [str(problem) for problem in caught.value.problems] == [
        "--config-yaml:7:17: cannot import missing:A",
        "--config-yaml:9:17: cannot import missing:C",
    ]
