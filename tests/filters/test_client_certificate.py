"""`x-forwarded-client-cert`: whom it believes and what it says."""

from __future__ import annotations

import hashlib
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import trio
from dialogue import PATIENCE
from secure import secured, terms
from serving import http

from trioproxy.filters.client_certificate import escaped, printable, quoted

if TYPE_CHECKING:
    from certificates import Authority, Pair
    from serving import Proxy, Serving

CLAIM = b"Hash=00"
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-client-cert: " + CLAIM + b"\r\n\r\n"


def digest(pair: Pair) -> bytes:
    encoded = ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())
    return b"Hash=" + hashlib.sha256(encoded).hexdigest().encode()


async def forwarded(
    serving: Serving, authority: Authority, manager: str, pair: Pair | None
) -> bytes | None:
    """Return what the upstream is told where the client makes a claim of its own."""
    tls = terms(authority.issue("example.org"), f"trusted_ca: {authority.path}")
    async with (
        serving(http(f"{manager},", listener=tls)) as proxy,
        secured(proxy, authority.client(pair)) as client,
    ):
        await client.send_all(REQUEST)
        origin = await proxy.origin.accept()
        head = await origin.head()
    lines = [line for line in head.split(b"\r\n") if line.startswith(b"x-forwarded-client-cert")]
    return lines[0].partition(b": ")[2] if lines else None


@pytest.mark.parametrize(
    ("mode", "with_certificate", "without"),
    [
        ("sanitize", None, None),
        ("forward_only", CLAIM, None),
        ("append_forward", CLAIM + b",%s", None),
        ("sanitize_set", b"%s", None),
        ("always_forward_only", CLAIM, CLAIM),
    ],
)
async def test_modes(
    serving: Serving,
    authority: Authority,
    mode: str,
    with_certificate: bytes | None,
    without: bytes | None,
) -> None:
    pair = authority.issue("client.org")
    manager = f"forward_client_cert_details: {mode}"
    expected = with_certificate and with_certificate.replace(b"%s", digest(pair))
    assert await forwarded(serving, authority, manager, pair) == expected
    assert await forwarded(serving, authority, manager, None) == without


async def test_details(serving: Serving, authority: Authority) -> None:
    pair = authority.issue("client.org", "spiffe://here/client")
    manager = (
        "forward_client_cert_details: sanitize_set, set_current_client_cert_details:"
        " {subject: true, cert: true, dns: true, uri: true}"
    )
    pem = quote(pair.certificate.read_text(), safe="").encode()
    assert await forwarded(serving, authority, manager, pair) == (
        digest(pair) + b';Cert="' + pem + b'";Subject="CN=client.org,O=Tests"'
        b";URI=spiffe://here/client;DNS=client.org"
    )


def test_what_has_a_meaning_is_escaped() -> None:
    assert escaped('a,b"c') == 'a\\,b\\"c'
    assert escaped("#a ") == "\\#a\\ "
    assert quoted("plain") == "plain"
    assert quoted('a="b"') == '"a=\\"b\\""'
    assert quoted(r"CN=a\, b") == r'"CN=a\, b"'
    assert quoted('x\\";Hash=0') == r'"x\\\";Hash=0"'
    assert quoted("a,b\\") == r'"a,b\\"'
    assert printable("a\r\nb") == "ab"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_that_is_resumed_has_its_certificate(
    serving: Serving, authority: Authority, version: ssl.TLSVersion
) -> None:
    pair = authority.issue("client.org")
    tls = terms(authority.issue("example.org"), f"trusted_ca: {authority.path}")
    context = authority.client(pair)
    context.maximum_version = version
    manager = "forward_client_cert_details: sanitize_set,"
    async with serving(http(manager, listener=tls)) as proxy:
        session: ssl.SSLSession | None = None
        for resumed in (False, True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer, proxy, digest(pair))
                session = await trio.to_thread.run_sync(
                    ask_resuming, proxy.addresses["web"], context, session, resumed
                )


async def answer(proxy: Proxy, expected: bytes) -> None:
    """Be the upstream of one connection, and look at what it is told."""
    origin = await proxy.origin.accept()
    assert b"x-forwarded-client-cert: " + expected in await origin.head()
    await origin.say(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")


def ask_resuming(
    address: tuple[str, int],
    context: ssl.SSLContext,
    session: ssl.SSLSession | None,
    resumed: bool,
) -> ssl.SSLSession | None:
    """Ask over a session; returns the one that may be resumed next."""
    with (
        socket.create_connection(address, PATIENCE) as sock,
        context.wrap_socket(sock, server_hostname="example.org", session=session) as secure,
    ):
        secure.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert secure.recv(1000).startswith(b"HTTP/1.1 204 ")
        assert secure.session_reused == resumed
        return secure.session
