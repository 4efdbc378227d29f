from __future__ import annotations

import pytest

from trioproxy.codec.memo import Memo


def test_work_is_done_once_for_what_is_kept() -> None:
    worked: list[str] = []

    def work(key: str) -> tuple[str, bool]:
        worked.append(key)
        return key.upper(), key != "secret"

    memo = Memo(work)
    assert [memo[key] for key in ("a", "a", "secret", "secret")] == ["A", "A", "SECRET", "SECRET"]
    assert worked == ["a", "secret", "secret"]
    assert list(memo) == ["a"]


def test_it_never_grows_past_its_size() -> None:
    memo = Memo(lambda key: (key * 2, True), size=10)
    for key in range(1000):
        assert memo[key] == key * 2
        assert len(memo) <= 10


def test_what_work_raises_passes_and_is_not_kept() -> None:
    def work(key: str) -> tuple[int, bool]:
        return int(key), True

    memo = Memo(work)
    with pytest.raises(ValueError):
        memo["x"]
    assert not memo
