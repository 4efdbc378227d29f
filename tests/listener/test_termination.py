"""Listeners that speak TLS: the handshake and its limits, names, clients' certificates."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trio
from h2_peer import H2Peer
from secure import GET, LAST, SecurePeer, ask, secured, terms
from serving import http, tcp

if TYPE_CHECKING:
    from certificates import Authority
    from secure import Stream
    from serving import Serving

DIRECT = "{match: {prefix: /}, direct_response: {status: 200, body: hello}}"
SSL = "listener.127.0.0.1_0.ssl"


async def test_requests_come_through_and_the_end_is_told(
    serving: Serving, authority: Authority
) -> None:
    """The scheme is https, and a response that closes ends with close_notify."""
    tls = terms(authority.issue("example.org"))
    text = http(listener=tls).replace("use_remote_address: false, ", "")
    async with serving(text) as proxy:
        async with secured(proxy, authority.client()) as client, trio.open_nursery() as nursery:
            for number in range(3):
                await client.send_all(LAST if number == 2 else GET)
                await proxy.play("""
                    origin << GET / HTTP/1.1 | host: example.org | x-forwarded-for: 127.0.0.1 \
| x-forwarded-proto: https |
                    origin >> HTTP/1.1 200 OK | content-length: 2 | | ok\\
                """)
                assert (await client.receive_some()).endswith(b"\r\n\r\nok")
            assert await client.receive_some() == b""
            nursery.cancel_scope.cancel()
        assert proxy.counter("http.web.downstream_cx_ssl_total") == 1
        agreed = {"handshake": 1, "no_certificate": 1, "versions.TLSv1.3": 1}
        assert agreed.items() <= proxy.counted(SSL).items()


async def test_the_log_tells_what_was_agreed_on(serving: Serving, authority: Authority) -> None:
    log = (
        '{path: $log, format: json, fields: {name: "%REQUESTED_SERVER_NAME%",'
        ' version: "%DOWNSTREAM_TLS_VERSION%", cipher: "%DOWNSTREAM_TLS_CIPHER%"}}'
    )
    manager = f"{{stat_prefix: web, access_log: {log}, routes: [{DIRECT}]}}"
    text = f"""
listeners:
- name: web
  address: 127.0.0.1:0
  {terms(authority.issue("example.org"))}
  filters: [{{http_connection_manager: {manager}}}]
"""
    async with serving(text) as proxy, secured(proxy, authority.client()) as client:
        await ask(client)
        cipher = client.cipher()
    agreed = {"name": "example.org", "version": "TLSv1.3", "cipher": cipher[0]}
    assert proxy.log == [agreed]


async def test_a_redirect_keeps_the_scheme(serving: Serving, authority: Authority) -> None:
    tls = terms(authority.issue("example.org"))
    routes = "{match: {prefix: /}, redirect: {path: /new}}"
    async with (
        serving(http(routes=routes, listener=tls)) as proxy,
        secured(proxy, authority.client()) as client,
    ):
        assert b"\r\nlocation: https://example.org/new\r\n" in await ask(client)


async def test_long_bodies_both_ways(serving: Serving, authority: Authority) -> None:
    """More than any buffer: bodies are pumped in the one direction, relayed in the other."""
    body = bytes(range(256)) * 4000
    tls = terms(authority.issue("example.org"))
    async with (
        serving(http(listener=tls)) as proxy,
        secured(proxy, authority.client()) as client,
        trio.open_nursery() as nursery,
    ):
        head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body)
        nursery.start_soon(client.send_all, head + body)
        origin = await proxy.origin.accept()
        await origin.head()
        assert await origin.exactly(len(body)) == body
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
        nursery.start_soon(origin.say, head + body)
        received = b""
        while len(received) < len(head + body):
            received += await client.receive_some()
        assert received == head + body


async def test_bytes_flow_and_ends_are_passed_on(serving: Serving, authority: Authority) -> None:
    tls = terms(authority.issue("example.org"))
    text = tcp().replace("address: 127.0.0.1:0", f"address: 127.0.0.1:0\n  {tls}")
    async with serving(text) as proxy, secured(proxy, authority.client()) as client:
        await client.send_all(b"hello")
        await proxy.play("origin << hello\\ \n origin >> and to you\\ \n origin >> (fin)")
        assert await client.receive_some() == b"and to you"
        assert await client.receive_some() == b""
        await client.send_all(b"still here")
        await proxy.play("origin << still here\\")


async def test_a_websocket_is_told_goodbye_twice(serving: Serving, authority: Authority) -> None:
    """A53: by a close frame, then by close_notify."""
    tls = terms(authority.issue("example.org"))
    upgrade = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    async with (
        serving(http("upgrades: [websocket],", listener=tls)) as proxy,
        secured(proxy, authority.client()) as client,
        trio.open_nursery() as nursery,
    ):
        await client.send_all(upgrade)
        await proxy.play("""
            origin << GET / HTTP/1.1 | host: a | connection: upgrade | upgrade: websocket |
            origin >> HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket |
        """)
        assert (await client.receive_some()).startswith(b"HTTP/1.1 101 ")
        await client.send_all(b"\x82\x85\0\0\0\0hello")
        await proxy.play(r"origin << \x82\x85\0\0\0\0hello\ ")
        nursery.start_soon(proxy.plane.shutdown, 1.2)
        assert await client.receive_some() == b"\x88\x02" + (1012).to_bytes(2)
        assert await client.receive_some() == b""
        proxy.origin.close()


async def test_the_certificate_is_chosen_by_name(serving: Serving, authority: Authority) -> None:
    """Exactly, else by a wildcard, else the first; two kinds of key for one name."""
    pairs = [
        authority.issue("first.net"),
        authority.issue("example.org"),
        authority.issue("example.org", key="RSA"),
        authority.issue("*.example.org"),
    ]
    listed = ", ".join(
        f"{{certificate: {pair.certificate}, private_key: {pair.private_key}}}" for pair in pairs
    )
    async with serving(http(routes=DIRECT, listener=f"tls: {{certificates: [{listed}]}}")) as proxy:
        for name in ("example.org", "www.example.org", "first.net"):
            async with secured(proxy, authority.client(), name) as client:
                assert (await ask(client)).endswith(b"hello")
        rsa = authority.client()
        rsa.maximum_version = ssl.TLSVersion.TLSv1_2
        rsa.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        async with secured(proxy, rsa) as client:
            assert client.cipher()[0] == "ECDHE-RSA-AES128-GCM-SHA256"
        unknown = authority.client()
        unknown.check_hostname = False
        async with secured(proxy, unknown, "unknown.net") as client:
            assert client.getpeercert()["subjectAltName"] == (("DNS", "first.net"),)


async def test_protocols_are_agreed_on(serving: Serving, authority: Authority) -> None:
    tls = terms(authority.issue("example.org"), "alpn: [http/1.1]")
    context = authority.client()
    context.set_alpn_protocols(["h3", "http/1.1"])
    async with (
        serving(http(routes=DIRECT, listener=tls)) as proxy,
        secured(proxy, context) as client,
    ):
        assert client.selected_alpn_protocol() == "http/1.1"


async def test_a_certificate_that_changes_is_shown_from_then_on(
    serving: Serving, authority: Authority
) -> None:
    """Connections that stand keep what they have agreed on; a broken pair changes nothing."""
    pair = authority.issue("example.org")
    scope = "listener.127.0.0.1_0.server_ssl_socket_factory"
    async with (
        serving(http(routes=DIRECT, listener=terms(pair))) as proxy,
        secured(proxy, authority.client()) as old,
    ):
        authority.issue("example.org", to=pair)
        proxy.plane._tools.secrets.look()
        async with secured(proxy, authority.client()) as new:
            assert new.getpeercert() != old.getpeercert()
            shown = new.getpeercert()
        pair.private_key.write_text("nothing")
        proxy.plane._tools.secrets.look()
        async with secured(proxy, authority.client()) as new:
            assert new.getpeercert() == shown
            assert (await ask(new)).endswith(b"hello")
        assert (await ask(old)).endswith(b"hello")
        counted = proxy.counted(scope)
        assert counted == {"ssl_context_update_by_sds": 1, "key_rotation_failed": 1}


async def test_only_who_has_a_certificate_of_ours(serving: Serving, authority: Authority) -> None:
    tls = terms(
        authority.issue("example.org"),
        f"trusted_ca: {authority.path}, require_client_certificate: true,"
        " match_subject_alt_names: [{exact: 'spiffe://here/good', type: uri}]",
    )
    async with serving(http(routes=DIRECT, listener=tls)) as proxy:
        good = authority.client(authority.issue("spiffe://here/good"))
        async with secured(proxy, good) as client:
            assert (await ask(client)).endswith(b"hello")
        for pair in (None, authority.issue("spiffe://here/bad")):
            async with secured(proxy, authority.client(pair)) as client:
                assert await refused(client)
        await proxy.empty()
        counted = proxy.counted(SSL)
        assert counted["fail_verify_no_cert"] == 1
        assert counted["fail_verify_san"] == 1


async def refused(client: Stream) -> bool:
    """In TLS 1.3 a client learns of it after its handshake: by an alert, close_notify or RST."""
    try:
        return await ask(client) == b""
    except trio.BrokenResourceError:
        return True


async def test_a_revoked_certificate_is_refused(serving: Serving, authority: Authority) -> None:
    good, bad = authority.issue("good"), authority.issue("bad")
    tls = terms(
        authority.issue("example.org"),
        f"trusted_ca: {authority.path}, crl: {authority.revoke(bad)}",
    )
    async with serving(http(routes=DIRECT, listener=tls)) as proxy:
        async with secured(proxy, authority.client(bad)) as client:
            assert await refused(client)
        for pair in (good, None):
            async with secured(proxy, authority.client(pair)) as client:
                assert (await ask(client)).endswith(b"hello")
        assert proxy.counted(SSL)["fail_verify_error"] == 1


async def test_a_client_that_says_nothing_is_let_go(serving: Serving, authority: Authority) -> None:
    tls = terms(authority.issue("example.org"), "handshake_timeout: 1s")
    async with serving(http(routes=DIRECT, listener=tls)) as proxy:
        await proxy.play("client << (fin)")
        assert proxy.counter("listener.127.0.0.1_0.downstream_cx_transport_socket_connect_timeout")


async def test_plaintext_is_refused(serving: Serving, authority: Authority) -> None:
    tls = terms(authority.issue("example.org"))
    async with serving(http(routes=DIRECT, listener=tls)) as proxy:
        client = await proxy.connect()
        await client.say(GET)
        await client.rest()
        await proxy.empty()
        assert proxy.counted(SSL) == {"connection_error": 1}


@pytest.mark.parametrize(("offered", "version"), [(["h2"], "HTTP/2"), (["http/1.1"], "HTTP/1.1")])
async def test_http2_is_spoken_where_it_is_agreed_on(
    serving: Serving, authority: Authority, offered: list[str], version: str
) -> None:
    pair = authority.issue("example.org")
    yaml = http(routes=DIRECT, listener=terms(pair, "alpn: [h2, http/1.1]"))
    async with serving(yaml) as proxy:
        context = authority.client()
        context.set_alpn_protocols(offered)
        async with secured(proxy, context) as secure:
            if version == "HTTP/2":
                client = await H2Peer.greet(SecurePeer(secure))
                assert (await client.answer(await client.ask())).body == b"hello"
            else:
                assert (await ask(secure)).endswith(b"hello")
    assert proxy.log[0]["protocol"] == version
