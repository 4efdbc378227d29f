"""When and how a generation leaves."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import trio
import trio.testing

from trioproxy.server.generation import SAME_REQUEST, Ending, cancel_when

if TYPE_CHECKING:
    import pytest


async def test_a_second_request_at_once_is_the_same(autojump_clock: trio.testing.MockClock) -> None:
    """A70: within 1 s."""
    ending = Ending()
    assert not ending.asked.is_set()
    ending.ask("SIGTERM")
    await trio.sleep(SAME_REQUEST * 0.9)
    ending.ask("SIGINT")
    assert ending.asked.is_set()
    assert not ending.urged.is_set()


async def test_a_later_request_is_urgent(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A70: a later one exits at once."""
    ending = Ending()
    ending.ask("SIGTERM")
    await trio.sleep(SAME_REQUEST * 1.1)
    ending.ask("SIGINT")
    assert ending.urged.is_set()
    assert "leaving at once: SIGINT" in caplog.text


async def test_the_first_reason_gives_the_status() -> None:
    ending = Ending()
    ending.ask("no zygote", status=1)
    ending.ask("SIGTERM")
    assert ending.status == 1


def test_a_process_knows_its_age() -> None:
    program = "from trioproxy.server.generation import process_age; print(process_age())"
    begun = time.monotonic()
    age = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    assert 0 < float(age) <= time.monotonic() - begun + 0.02  # it is told in hundredths


async def test_an_event_ends_a_wait() -> None:
    event = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_when, event, nursery.cancel_scope)
        nursery.start_soon(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        event.set()
