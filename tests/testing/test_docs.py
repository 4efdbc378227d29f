"""The examples of docs/testing.md, run as a user would run them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs/testing.md").read_text(), re.DOTALL)


def test_the_examples_on_the_page_pass(tmp_path: Path) -> None:
    for name in ("polite.py", "polite.yaml"):
        shutil.copy(ROOT / "configs" / name, tmp_path)
    for number, example in enumerate(EXAMPLES):
        (tmp_path / f"test_{number}.py").write_text(example)
    command = [sys.executable, "-m", "pytest", "-q", "-o", "trio_mode=true", "-W", "error"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    tests = sum(example.count("async def test_") for example in EXAMPLES)
    assert f"{tests} passed" in run.stdout, run.stdout
    assert tests == 4
