"""What a proxy adds to a request on its way (RFC 9110 section 7.6, and the x-forwarded fields)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.errors import MethodRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.network.http_connection_manager import HttpConnectionManager
    from trioproxy.headers import Field

FORWARDED_FOR = b"x-forwarded-for"
FORWARDED_PROTO = b"x-forwarded-proto"
REQUEST_ID = b"x-request-id"
VIA = b"via"


def forwarder(config: HttpConnectionManager, rng: Random) -> Callable[[Exchange], None]:
    """Return what marks each request as forwarded by this connection manager."""
    trusted = not config.use_remote_address
    identify = config.generate_request_id
    upgrades = frozenset(config.upgrades)
    via = None if config.via is None else b"1.1 " + config.via.encode("latin-1")

    def mark(exchange: Exchange) -> None:
        request = exchange.request
        fields = request.headers.fields
        if request.upgrade and request.upgrade not in upgrades:
            request.upgrade = ""  # RFC 9110 section 7.8: it may be ignored
        if request.method == "CONNECT" and "connect" not in upgrades:
            raise MethodRefused("CONNECT is not served here")
        if not trusted:
            _forwarded_for(fields, exchange)
        if identify and not any(name == REQUEST_ID for name, _ in fields):
            fields.append((REQUEST_ID, request_id(rng)))
        if via is not None:
            fields.append((VIA, via))

    return mark


def _forwarded_for(fields: list[Field], exchange: Exchange) -> None:
    client = exchange.connection.remote_ip.encode()
    kept = []
    for field in fields:
        if field[0] == FORWARDED_FOR:
            client = field[1] + b", " + client if client else field[1]
        elif field[0] != FORWARDED_PROTO:
            kept.append(field)
    kept.append((FORWARDED_FOR, client or b"unknown"))
    kept.append((FORWARDED_PROTO, exchange.request.scheme.encode()))
    fields[:] = kept


def request_id(rng: Random) -> bytes:
    """Return a random UUID of version 4 (RFC 9562 section 5.4)."""
    bits = rng.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | 4 << 76 | 2 << 62
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()
