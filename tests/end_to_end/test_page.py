"""The admin's page in a real browser, over a real restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser import Browser
from sites import Unfinished, a_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sites import Site

pytestmark = pytest.mark.foreign

TEXT = "document.body.innerText"
BUTTON = "document.querySelector('#live form[action*=\"id=0.\"] button')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        yield site


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/"


def shows(text: str) -> str:
    return f"{TEXT}.includes({text!r})"


def test_it_follows_a_restart_without_a_reload(site: Site, browser: Browser) -> None:
    """A87: both generations, and a button that ends the last connection of the old one."""
    parent = site.serve()
    with Unfinished(parent.ports["web"]):
        browser.open(url(parent.ports["admin"]))
        browser.evaluate("window.same = true")
        browser.wait_for(shows("epoch 0, serving"))
        site.serve(1)
        browser.wait_for(f"{shows('epoch 1, serving')} && {shows('epoch 0, draining')}")
        assert browser.evaluate(shows("1 of 1 left"))
        assert browser.evaluate(shows("in an exchange"))
        browser.evaluate(f"{BUTTON}.click()")
        assert parent.wait_gone() == 0
        browser.wait_for(f"!{shows('epoch 0, draining')}")
        assert browser.evaluate(shows("took over"))
        assert browser.evaluate("window.same")


def test_it_is_of_use_without_a_script(site: Site, browser: Browser) -> None:
    """A87."""
    proxy = site.serve()
    browser.tell("Emulation.setScriptExecutionDisabled", value=True)
    try:
        with Unfinished(proxy.ports["web"]) as client:
            browser.open(url(proxy.ports["admin"]))
            assert browser.evaluate(shows("epoch 0, serving"))
            browser.evaluate(f"{BUTTON}.click()")
            browser.wait_for(f"{TEXT}.trim() == 'OK'")
            proxy.wait_for("is closed by request")
            client.close()
    finally:
        browser.tell("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 1200])
def test_it_fits_a_phone_and_follows_the_light(
    site: Site, browser: Browser, width: int, scheme: str
) -> None:
    """A87: nothing but a table is wider than the window; the text can be read on its ground."""
    proxy = site.serve()
    browser.look(width, scheme)
    with Unfinished(proxy.ports["web"]):
        browser.open(url(proxy.ports["admin"]))
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        colours = "[...getComputedStyle(document.body).{}.matchAll(/[0-9]+/g)].map(Number)"
        text, ground = (
            sum(browser.evaluate(colours.format(of))[:3]) for of in ("color", "backgroundColor")
        )
        assert (text < 150 < 600 < ground) if scheme == "light" else (ground < 150 < 600 < text)
