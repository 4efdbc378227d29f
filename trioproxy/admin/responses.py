"""Answers of the admin interface, with the headers that Envoy's have."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.background import BackgroundTask

HEADERS = {"cache-control": "no-cache, max-age=0", "x-content-type-options": "nosniff"}
TEXT = "text/plain; charset=UTF-8"
HTML = "text/html; charset=UTF-8"
JSON = "application/json"

SCRIPT = """
const live = document.getElementById("live")
let held = false
live.onpointerdown = () => { held = true }
window.onpointerup = window.onpointercancel = () => { held = false }
live.onsubmit = event => {
  event.preventDefault()
  event.submitter.blur()
  event.submitter.disabled = true
  fetch(event.target.action, {method: "POST"})
}
new EventSource("/live").onmessage = event => {
  if (held || live.querySelector("button:focus")) return
  const places = [...live.querySelectorAll(".scroll")].map(each => each.scrollLeft)
  live.innerHTML = JSON.parse(event.data)
  live.querySelectorAll(".scroll").forEach((each, n) => { each.scrollLeft = places[n] || 0 })
}
"""
"""All that the page runs: without it, it is a page that does not move, and buttons lead away.

Nothing moves under a finger, or under who has come to a button by keyboard.
"""

PAGE_HEADERS = {
    **HEADERS,
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    f" script-src 'sha256-{b64encode(sha256(SCRIPT.encode()).digest()).decode()}';"
    " connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
}


def text(body: str, status: int = 200, background: BackgroundTask | None = None) -> Response:
    """Answer with plain text; `background` is done when the client has got it."""
    return Response(body, status, HEADERS, TEXT, background)


def ok(background: BackgroundTask | None = None) -> Response:
    """Answer that a command was obeyed."""
    return text("OK\n", background=background)


def json_text(body: str) -> Response:
    """Answer with what is JSON already."""
    return Response(body, 200, HEADERS, JSON)


def as_json(value: object) -> Response:
    """Answer with a value as JSON that people can read, too."""
    return json_text(json.dumps(value, indent=1) + "\n")


def html(body: str) -> Response:
    """Answer with a page that loads nothing from elsewhere and can be framed by nobody."""
    return Response(body, 200, PAGE_HEADERS, HTML)
