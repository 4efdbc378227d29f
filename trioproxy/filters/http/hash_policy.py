"""The key of a request, by which a cluster that hashes finds its host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from trioproxy.upstream.hash_tables import stable_hash

if TYPE_CHECKING:
    from random import Random

    from trioproxy.config.route import Cookie, HashPolicy
    from trioproxy.filters.exchange import Exchange

Part = Callable[["Exchange", "Random"], bytes]
"""Returns a policy's part of the key, empty where the request has none."""

KeyOf = Callable[["Exchange", "Random"], "int | None"]
"""Returns a request's key, None where no policy finds anything in it; called once a request."""


def compile_policies(policies: Sequence[HashPolicy]) -> KeyOf | None:
    """Return what finds the key; None where there is no policy.

    All that is found makes the key together, up to the first `terminal` policy that finds any.
    """
    parts = [(_part(policy), policy.terminal) for policy in policies]

    def key_of(exchange: Exchange, rng: Random) -> int | None:
        found: list[bytes] = []
        for part, terminal in parts:
            value = part(exchange, rng)
            if value:
                found.append(value)
            if found and terminal:
                break
        return stable_hash(b"\0".join(found)) if found else None

    return key_of if parts else None


def _part(policy: HashPolicy) -> Part:
    if policy.header is not None:
        return partial(_of_header, policy.header.lower().encode())
    if policy.cookie is not None:
        return partial(_of_cookie, policy.cookie)
    return _of_source


def _of_header(name: bytes, exchange: Exchange, _rng: Random) -> bytes:
    return b",".join([value for field, value in exchange.request.headers.fields if field == name])


def _of_source(exchange: Exchange, _rng: Random) -> bytes:
    return exchange.connection.remote_ip.encode()


def _of_cookie(cookie: Cookie, exchange: Exchange, rng: Random) -> bytes:
    """Return the cookie's value; where a `ttl` says so, one is made for who has none."""
    name = cookie.name.encode()
    for field, value in exchange.request.headers.fields:
        if field == b"cookie":
            for pair in value.split(b";"):
                key, _, found = pair.strip().partition(b"=")
                if key == name and found:
                    return found.strip(b'"')
    if cookie.ttl is None:
        return b""
    made = b"%016x" % rng.getrandbits(64)
    exchange.on_response(partial(_set_cookie, f"{cookie.name}={made.decode()}{_lasting(cookie)}"))
    return made


def _lasting(cookie: Cookie) -> str:
    age = f"; Max-Age={cookie.ttl:.0f}" if cookie.ttl else ""
    path = "" if cookie.path is None else f"; Path={cookie.path}"
    return f"{age}{path}; HttpOnly"


async def _set_cookie(cookie: str, exchange: Exchange) -> None:
    if exchange.response is not None:
        exchange.response.headers.add("set-cookie", cookie)
