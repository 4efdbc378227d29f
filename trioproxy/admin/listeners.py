"""The endpoint `/listeners`: which listeners there are and where they listen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.admin.address import label
from trioproxy.admin.responses import as_json, text

if TYPE_CHECKING:
    from starlette.responses import Response

    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View


def listeners(view: View, query: Query) -> Response:
    """List the listeners, also while they drain."""
    addresses = view.instance.addresses
    if query.get("format") != "json":
        return text("".join(f"{name}::{label(addresses[name])}\n" for name in addresses))
    statuses = [
        {"name": name, "local_address": address.structured} for name, address in addresses.items()
    ]
    return as_json({"listener_statuses": statuses})
