"""Who finds whom: base ids, epochs, control sockets, and nobody there."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from sites import a_site, ask, get, web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sites import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        yield site


def test_dynamic_base_ids_restart_independently(site: Site) -> None:
    """A08."""
    files = [site.directory / "one", site.directory / "two"]
    dynamic = "--use-dynamic-base-id"
    first, second = (site.serve(0, dynamic, "--base-id-path", str(file)) for file in files)
    site.configure(web("next"))
    child = site.serve(1, "--base-id", files[0].read_text())
    assert first.wait_gone() == 0
    assert get(child.ports["web"]) == "next"
    assert get(second.ports["web"]) == "one"
    site.serve(1, "--base-id", files[1].read_text())
    assert second.wait_gone() == 0


def test_a_second_epoch_0_with_abstract_names(site: Site) -> None:
    """A10: the first can still hot restart."""
    site.socket_path = f"@{site.directory}"
    first = site.serve(0)
    second = site.start(0)
    assert second.wait_gone() == 1
    assert "--base-id 0" in second.log[-1]
    site.serve(1)
    assert first.wait_gone() == 0


@pytest.mark.parametrize("mode", ["640", "600"])
def test_the_control_socket_has_its_mode(site: Site, mode: str) -> None:
    """A11: from the generation on that asks for it."""
    site.serve()
    site.serve(1, "--socket-mode", mode)
    assert site.control.stat().st_mode & 0o777 == int(mode, 8)


@pytest.mark.slow
def test_no_parent(site: Site) -> None:
    """A12: it says what it looked for, and exits."""
    child = site.start(3)
    assert child.wait_gone() == 1
    assert f"no parent found at unix:{site.control} in 5 s: is epoch 3 right?" in child.log[-1]
    assert site.left() == set()


def test_no_parent_and_none_needed(site: Site) -> None:
    """A12: it keeps its number."""
    child = site.serve(3, "--skip-hot-restart-on-no-parent")
    assert any("epoch 3: serving" in line for line in child.log)
    assert '"restart_epoch": 3' in ask(child.ports["admin"], "/server_info")[1]


def test_epochs_that_nobody_counts(site: Site) -> None:
    """A13."""
    for epoch in range(3):
        instance = site.serve("auto")
        assert f"epoch {epoch}: serving" in instance.log[-1]
    assert [each.wait_gone() for each in site.instances[:2]] == [0, 0]


def test_sigterm_while_it_looks_for_a_parent(site: Site) -> None:
    child = site.start(1)
    child.wait_for("looking for a parent")
    child.signal(signal.SIGTERM)
    assert child.wait_gone() == 0
    assert "leaving: SIGTERM" in child.log[-1]
