from __future__ import annotations

import pytest

from trioproxy.config.marks import Invalid
from trioproxy.config.outlier_detection import OutlierDetection


def test_an_ejection_may_always_last_its_base_time() -> None:
    assert OutlierDetection().longest == 300
    assert OutlierDetection(base_ejection_time=600).longest == 600


@pytest.mark.parametrize("field", ["interval", "base_ejection_time"])
def test_no_time_is_no_time_at_all(field: str) -> None:
    with pytest.raises(Invalid, match=f"{field} is 0"):
        OutlierDetection(**{field: 0})  # type: ignore[arg-type]
