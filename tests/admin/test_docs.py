"""The page in the documentation lists what there is."""

from __future__ import annotations

import re
from pathlib import Path

from trioproxy.admin.app import ENDPOINTS

PAGE = (Path(__file__).parents[2] / "docs" / "admin.md").read_text()


def test_every_endpoint_and_parameter_is_documented() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `/")]
    for endpoint in ENDPOINTS:
        (row,) = [row for row in rows if f"`{endpoint.path}`" in row.split("|")[1]]
        assert all(name in row for name in endpoint.parameters)


def test_nothing_else_is_documented() -> None:
    first_cells = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `/")]
    documented = {path for cell in first_cells for path in re.findall(r"`(/[^`]*)`", cell)}
    assert documented == {endpoint.path for endpoint in ENDPOINTS}
