"""The benchmark of a start: what is read from a process, and what is printed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from benchmarks.start import Start, imports, start, summary

if TYPE_CHECKING:
    from pathlib import Path

LOG = """\
import time: self [us] | cumulative | imported package
import time:      2000 |       2000 |   trio._core
import time:      {own} |       3000 | trio
[info][main] epoch 0: serving
import time:       500 |        500 | yaml
"""


def test_each_module_counts_as_in_its_quickest_run() -> None:
    assert imports([LOG.format(own=1000), LOG.format(own=700)]) == {"trio": 2.7, "yaml": 0.5}


def test_the_summary_has_medians_and_the_largest_packages() -> None:
    starts = [Start(0.3, 0.2, ""), Start(0.5, 0.1, ""), Start(0.4, 0.3, "")]
    assert summary(starts, Counter(trio=30.0, ours=90.0, a=3.0, b=2.0, c=1.0)) == (
        "command to serving, 2 workers, 3 starts: 400 ms (300..500); CPU 200 ms\n"
        "imports: 126 ms; of these ours 90, trio 30, a 3, b 2"
    )


def test_a_real_start(tmp_path: Path) -> None:
    begun = start(tmp_path, "-X", "importtime")
    assert begun.cpu > 0
    assert begun.elapsed > 0
    assert {"trio", "trioproxy"} <= set(imports([begun.log]))
    assert not (tmp_path / "control_0").exists()
