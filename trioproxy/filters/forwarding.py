"""What a proxy adds to a message on its way (RFC 9110 section 7.6, and the x-forwarded fields)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.errors import MethodRefused
from trioproxy.filters.client_certificate import CLIENT_CERTIFICATE, ClientCertificateForwarder

if TYPE_CHECKING:
    from random import Random

    from trioproxy.codec.messages import Message, Request
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.network.http_connection_manager import HttpConnectionManager
    from trioproxy.headers import Field
    from trioproxy.stats.handles import Counter

FORWARDED_FOR = b"x-forwarded-for"
FORWARDED_PROTO = b"x-forwarded-proto"
REQUEST_ID = b"x-request-id"
VIA = b"via"
OURS = frozenset({FORWARDED_FOR, FORWARDED_PROTO})


class Forwarder:
    """Marks each request as forwarded by this connection manager, and refuses what it must."""

    def __init__(
        self, config: HttpConnectionManager, rng: Random, refused_upgrades: Counter
    ) -> None:
        self._refused_upgrades = refused_upgrades
        self._sets_client = config.use_remote_address
        self._certificates = ClientCertificateForwarder(
            config.forward_client_cert_details, config.set_current_client_cert_details
        )
        self._identifies = config.generate_request_id
        self._upgrades = frozenset(config.upgrades)
        self._via = None if config.via is None else config.via.encode("latin-1")
        self._rng = rng

    def mark(self, exchange: Exchange) -> None:
        """Change the request, and its response, as is configured; raises MethodRefused."""
        request = exchange.request
        if request.upgrade or request.method == "CONNECT":
            self._settle_upgrade(request)
        fields = request.headers.fields
        names = {name for name, _ in fields}
        if self._sets_client:
            client = exchange.connection.forwarded_for
            if not names.isdisjoint(OURS):
                client = _taken_out(fields, client)
            fields.append((FORWARDED_FOR, client))
            fields.append((FORWARDED_PROTO, exchange.connection.scheme))
        if self._certificates.writes or CLIENT_CERTIFICATE in names:
            self._certificates.mark(fields, exchange.connection)
        if self._identifies and REQUEST_ID not in names:
            fields.append((REQUEST_ID, request_id(self._rng)))
        if self._via is not None:
            fields.append((VIA, version(request) + self._via))
            exchange.on_response(self._mark_response)

    def _settle_upgrade(self, request: Request) -> None:
        connects = request.method == "CONNECT"
        if connects and not request.path:
            request.upgrade = ""  # it is a tunnel already
        if (request.upgrade or "connect") in self._upgrades:
            if request.upgrade and connects:
                request.method = "GET"  # RFC 8441: what HTTP/1.1 has for the same
            return
        self._refused_upgrades.add()
        if connects:
            raise MethodRefused("CONNECT is not served here")
        request.upgrade = ""  # RFC 9110 section 7.8: it may be ignored

    async def _mark_response(self, exchange: Exchange) -> None:
        response = exchange.response
        if response is not None and self._via is not None:
            response.headers.fields.append((VIA, version(response) + self._via))


def version(message: Message) -> bytes:
    """Return the version of HTTP that a message came in, as `via` says it."""
    return b"2.0 " if message.major == 2 else b"1.%d " % message.minor


def _taken_out(fields: list[Field], client: bytes) -> bytes:
    """Take our fields out; returns the client behind those that were named before."""
    named = [value for name, value in fields if name == FORWARDED_FOR]
    fields[:] = [field for field in fields if field[0] not in OURS]
    return b", ".join([*named, client])


def request_id(rng: Random) -> bytes:
    """Return a random UUID of version 4 (RFC 9562 section 5.4)."""
    digits = b"%032x" % rng.getrandbits(128)
    variant = b"89ab"[digits[16] & 3 : (digits[16] & 3) + 1]
    return b"%b-%b-4%b-%b%b-%b" % (
        digits[:8],
        digits[8:12],
        digits[13:16],
        variant,
        digits[17:20],
        digits[20:],
    )
