"""A headless Chromium, told what to do over its DevTools protocol."""

from __future__ import annotations

import itertools
import json
import subprocess
import tempfile
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from instances import PATIENCE
from websockets.sync.client import connect

if TYPE_CHECKING:
    from typing import Self

COMMAND = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


class Browser:
    """One page of a browser of its own; use it as a context manager."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            process = subprocess.Popen(
                [*COMMAND, f"--user-data-dir={profile}", "--remote-debugging-port=0"],
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.wait, PATIENCE)
            stack.callback(process.terminate)
            assert process.stderr
            stack.enter_context(process.stderr)
            port = next(
                line.rpartition(":")[2].partition("/")[0]
                for line in process.stderr
                if line.startswith("DevTools listening on")
            )
            with urlopen(f"http://127.0.0.1:{port}/json") as answer:
                (page,) = (each for each in json.load(answer) if each["type"] == "page")
            url = page["webSocketDebuggerUrl"]
            self._socket = stack.enter_context(connect(url, max_size=None))
            self._numbers = itertools.count(1)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def tell(self, method: str, **parameters: object) -> Any:
        """Give a command; returns its result."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(command))
        while True:
            said = json.loads(self._socket.recv(PATIENCE))
            if said.get("id") == number:
                assert "result" in said, said
                return said["result"]

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript comes to on the page."""
        result = self.tell("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""
        give_up = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < give_up, self.evaluate("document.body.innerText")
            time.sleep(0.05)

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is there."""
        self.tell("Page.navigate", url=url)
        self.wait_for("location.href != 'about:blank' && document.readyState == 'complete'")

    def look(self, width: int, scheme: str) -> None:
        """Have a window so wide, in pixels, on a system that is `light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.tell("Emulation.setEmulatedMedia", features=[feature])
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
