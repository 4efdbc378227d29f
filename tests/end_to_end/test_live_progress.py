"""How far the drain of the old generation has come, asked of the new one."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from instances import PATIENCE
from sites import Unfinished, a_site, get, web

if TYPE_CHECKING:
    from pathlib import Path


def test_the_new_generation_shows_both(tmp_path: Path) -> None:
    """A72: what is left in the old one, until when; and it is over when they are gone."""
    with a_site(tmp_path) as site:
        drain = {"time": "400s", "parent_shutdown_time": "600s", "hand_over": False}
        site.configure(web(), drain=drain)
        parent = site.serve()
        port, admin = parent.ports["web"], parent.ports["admin"]
        with Unfinished(port), Unfinished(port) as other:
            site.serve(1)
            shown = wait_shown(admin, old=2)
            assert [(each["epoch"], each["phase"]) for each in shown] == [
                (1, "serving"),
                (0, "draining"),
            ]
            (fresh,), (leaving,) = shown[0]["listeners"], shown[1]["listeners"]
            assert fresh["open"] == 0
            assert leaving["name"] == "web"
            assert 500 < leaving["last"] <= 600
            assert 0 < leaving["next"] <= leaving["last"]
            other.close()
            wait_shown(admin, old=1)
        assert parent.wait_gone() == 0
        assert [each["epoch"] for each in wait_shown(admin, old=0)] == [1]


def wait_shown(admin: int, old: int) -> list[dict[str, Any]]:
    """Wait until the old generation is said to have so many connections; none: to be gone."""
    give_up = time.monotonic() + PATIENCE
    while True:
        shown = json.loads(get(admin, "/generations?format=json"))["generations"]
        if [each["listeners"][0]["open"] for each in shown[1:]] == [old] * bool(old):
            return shown
        assert time.monotonic() < give_up, shown
        time.sleep(0.02)
