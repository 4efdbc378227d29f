"""Addresses as the admin interface writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.config.address import Address


def label(address: Address) -> str:
    """Return an address as Envoy writes it in lines: a Unix one is its bare path."""
    return address.path or str(address)
