"""Who may ask: not a page of another site, through the browser of somebody who may.

A page can have a browser send requests here. Where it needs no answer, its `Origin` gives it away.
To read answers it must be of the same origin, so it makes a name of its own stand for our address
(DNS rebinding); then `Host` carries that name. It can be no literal address and no name without a
dot, and that is how an admin interface is reached; other names are the operator's to allow.
"""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from trioproxy.admin.responses import text

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

SAFE = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """An ASGI application in front of another; `allow_hosts` are more names that it goes by."""

    def __init__(self, app: ASGIApp, allow_hosts: Collection[str] = ()) -> None:
        self._app = app
        self._allow_hosts = {name.lower() for name in allow_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        reason = self._refusal(scope) if scope["type"] == "http" else ""
        await (text(reason, 403) if reason else self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str:
        """Return why the request is refused, or nothing."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not (cannot_be_foreign(name := name_of(host)) or name in self._allow_hosts):
            return f"Host {host} is not known here: use the address.\n"
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if foreign and scope["method"] not in SAFE:
            return f"Origin {origin} may not change anything here.\n"
        return ""


def name_of(host: str) -> str:
    """Return the name or the address in a `Host` header, in lower case."""
    name = host.rpartition(":")[0] if host.rpartition("]")[2].count(":") else host
    return name.strip("[]").removesuffix(".").lower()


def cannot_be_foreign(name: str) -> bool:
    """Return whether a host's name is none that a stranger could have registered."""
    with suppress(ValueError):
        return bool(ip_address(name))
    return "." not in name or name.endswith(".localhost")
