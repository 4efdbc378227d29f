"""Which of several failures is raised, and how."""

from __future__ import annotations

import pytest

from trioproxy.errors import DownstreamClosed, UpstreamReset, first_failure


def test_of_what_failed_in_a_nursery_the_first_is_raised_by_itself() -> None:
    first = UpstreamReset("first")
    inner = BaseExceptionGroup("inner", [KeyboardInterrupt(), first])
    with pytest.raises(UpstreamReset) as raised, first_failure():
        raise BaseExceptionGroup("outer", [inner, DownstreamClosed("second")])
    assert raised.value is first


def test_where_none_is_ours_all_is_left_as_it_is() -> None:
    group = BaseExceptionGroup("", [KeyboardInterrupt()])
    with pytest.raises(BaseExceptionGroup) as raised, first_failure():
        raise group
    assert raised.value is group
