"""TLS on a transport, against peers that speak it through Trio."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import trio
from ends import PATIENCE, read_all, stream, stuff, tcp_pair, turns
from key_updates import update_keys

from trioproxy.reactor.epoll import IN, OUT
from trioproxy.reactor.flow import Flow
from trioproxy.reactor.pipes import PipePool
from trioproxy.reactor.pump import Pump
from trioproxy.reactor.tls import TlsTransport
from trioproxy.reactor.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certificates import Authority

    from trioproxy.reactor.epoll import Reactor

    Ends = tuple[trio.SSLStream[trio.SocketStream], TlsTransport]


@asynccontextmanager
async def ends(
    reactor: Reactor, authority: Authority, *, server: bool = True, buffer: int = 0
) -> AsyncIterator[Ends]:
    """A peer and our end of a connection, their hands shaken; `server`: that we are the server."""
    peer, ours = tcp_pair(buffer)
    contexts = authority.client(), authority.server(authority.issue("example.org"))
    theirs, mine = contexts if server else contexts[::-1]
    name = "example.org"
    secure = trio.SSLStream(
        stream(peer), theirs, server_hostname=name if server else None, server_side=not server
    )
    transport = TlsTransport(
        Transport(reactor, ours), mine, server=server, server_hostname=None if server else name
    )
    try:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(secure.do_handshake)
                nursery.start_soon(transport.handshake, trio.Semaphore(1))
            yield secure, transport
    finally:
        secure.transport_stream.socket.close()
        transport.close()


SIDES = pytest.mark.parametrize("server", [True, False], ids=["server", "client"])


@SIDES
async def test_both_say_something_and_goodbye(
    reactor: Reactor, authority: Authority, server: bool
) -> None:
    async with ends(reactor, authority, server=server) as (peer, transport):
        await peer.send_all(b"hello")
        assert await transport.receive() == b"hello"
        await transport.send(b"and to you")
        assert await peer.receive_some() == b"and to you"
        transport.shutdown_write()
        assert await peer.receive_some() == b""  # SSLStream insists on close_notify
        await peer.send_all(b"last words")
        assert await transport.receive() == b"last words"
        await peer.aclose()
        assert await transport.receive() == b""
        assert transport.hangup


async def test_close_says_goodbye_and_abort_does_not(
    reactor: Reactor, authority: Authority
) -> None:
    async with ends(reactor, authority) as (peer, transport):
        transport.close()
        assert await peer.receive_some() == b""
    async with ends(reactor, authority) as (peer, transport):
        transport.abort()
        with pytest.raises(trio.BrokenResourceError):
            await peer.receive_some()


async def test_without_close_notify_a_client_has_not_heard_all(
    reactor: Reactor, authority: Authority
) -> None:
    async with ends(reactor, authority, server=False) as (peer, transport):
        await peer.transport_stream.send_eof()
        with pytest.raises(ConnectionResetError, match="without close_notify"):
            await transport.receive()


async def test_a_server_takes_fin_for_goodbye(reactor: Reactor, authority: Authority) -> None:
    async with ends(reactor, authority) as (peer, transport):
        await peer.transport_stream.send_eof()
        assert await transport.receive() == b""
        assert await transport.receive() == b""


async def test_in_is_ready_as_long_as_something_is_here(
    reactor: Reactor, authority: Authority
) -> None:
    """Decrypted or not: epoll tells of what is in the kernel alone."""
    async with ends(reactor, authority) as (peer, transport):
        await peer.send_all(b"one record")
        await peer.send_all(b"another")
        await turns()
        assert await transport.receive(4) == b"one "
        assert transport.ready & IN
        assert await transport.receive(100) == b"record"
        assert transport.ready & IN
        assert await transport.receive() == b"another"
        assert transport.receive_nowait() is None
        assert not transport.ready & IN


async def test_a_record_that_came_alone_spares_a_second_read(
    reactor: Reactor, authority: Authority
) -> None:
    async with ends(reactor, authority) as (peer, transport):
        assert transport.receive_nowait() is None
        await peer.send_all(b"a request")
        assert await transport.receive() == b"a request"
        assert not transport.ready & IN


async def test_one_who_waits_is_interrupted(reactor: Reactor, authority: Authority) -> None:
    async with ends(reactor, authority) as (peer, transport):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_interruption, transport)
            await turns()
            assert transport.interrupt(LookupError())
        await peer.send_all(b"still well")
        assert await transport.receive() == b"still well"


async def expect_interruption(transport: Transport) -> None:
    with pytest.raises(LookupError):
        await transport.receive()


async def test_a_peer_that_reads_slowly_gets_everything(
    reactor: Reactor, authority: Authority
) -> None:
    data = stuff(1_000_000)
    async with ends(reactor, authority, buffer=4096) as (peer, transport):
        received = bytearray()

        async def read() -> None:
            async for piece in peer:
                received.extend(piece)

        async with trio.open_nursery() as nursery:
            sent = transport.send_nowait(data)
            assert sent < len(data)
            assert not transport.ready & OUT
            assert transport.send_nowait(data[sent:]) == 0
            nursery.start_soon(read)
            await transport.send(memoryview(data)[sent:])
            await transport.finish()
        assert received == data


@pytest.mark.parametrize("offered", [1, 1000, 40_000, 200_000])
async def test_who_was_told_less_may_offer_more_or_less_then(
    reactor: Reactor, authority: Authority, offered: int
) -> None:
    """What was encrypted already is not said again, however much is handed in with it."""
    data = stuff(1_000_000)
    async with ends(reactor, authority, buffer=4096) as (peer, transport):
        received = bytearray()

        async def read() -> None:
            async for piece in peer:
                received.extend(piece)

        async with trio.open_nursery() as nursery:
            sent = 0
            while transport.ready & OUT:
                sent += transport.send_nowait(memoryview(data)[sent : sent + 1000])
            nursery.start_soon(read)
            while sent < len(data):
                if transport.ready & OUT:
                    sent += transport.send_nowait(memoryview(data)[sent : sent + offered])
                    offered = max(offered, 10_000)
                else:
                    await transport.park(OUT)
            await transport.finish()
        assert received == data


async def test_two_pieces_arrive_as_one(reactor: Reactor, authority: Authority) -> None:
    async with ends(reactor, authority) as (peer, transport):
        assert transport.send_both_nowait(b"head", b"body") == 8
        assert await peer.receive_some() == b"headbody"


async def test_what_was_received_with_the_end_is_looked_at(
    reactor: Reactor, authority: Authority
) -> None:
    async with ends(reactor, authority) as (peer, transport):
        transport.look_ahead()
        assert not transport.hangup
        await peer.send_all(b"a request")
        await turns()
        transport.look_ahead()
        assert not transport.hangup
        assert transport.ready & IN
        assert transport.unread() >= len(b"a request")
        assert await transport.receive() == b"a request"
        await transport.send(b"a response")
        await peer.receive_some()
        await peer.aclose()
        await turns()
        transport.look_ahead()
        assert transport.hangup
        assert await transport.receive() == b""


@SIDES
@pytest.mark.parametrize(("bulk", "buffer"), [(100, 0), (3_000_000, 0), (300_000, 4096)])
async def test_a_pump_moves_plaintext(
    reactor: Reactor, authority: Authority, server: bool, bulk: int, buffer: int
) -> None:
    """Never by splice, whichever side is TLS; half-closes come through, to who reads slowly too."""
    data = stuff(bulk)
    other, ours = tcp_pair()
    plain, far = Transport(reactor, ours), stream(other)
    async with ends(reactor, authority, server=server, buffer=buffer) as (peer, transport):
        with PipePool(4) as pipes:
            flows = [Flow(transport, plain), Flow(plain, transport)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Pump(flows, pipes).run)
                nursery.start_soon(say_all, far, data)
                received = await read_secure(peer)
                assert received == data
                nursery.start_soon(say_all_secure, peer, data)
                assert await read_all(far) == data
        other.close()
        plain.close()
    assert [flow.moved for flow in flows] == [len(data)] * 2


async def say_all(end: trio.SocketStream, data: bytes) -> None:
    await end.send_all(data)
    await end.send_eof()


async def say_all_secure(end: trio.SSLStream[trio.SocketStream], data: bytes) -> None:
    await end.send_all(data)
    await end.aclose()


async def read_secure(end: trio.SSLStream[trio.SocketStream]) -> bytes:
    return b"".join([piece async for piece in end])


async def test_words_that_came_before_our_goodbye_are_kept(
    reactor: Reactor, authority: Authority
) -> None:
    async with ends(reactor, authority) as (peer, transport):
        await peer.send_all(b"one")
        await peer.send_all(b"two")
        await turns()
        assert await transport.receive() == b"one"
        transport.shutdown_write()
        await peer.send_all(b"three")
        assert await transport.receive() == b"two"
        assert await transport.receive() == b"three"


async def test_a_handshake_that_fails_tells_both_why(
    reactor: Reactor, authority: Authority
) -> None:
    peer, ours = tcp_pair()
    context = authority.server(authority.issue("example.org"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    old = authority.client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    transport = TlsTransport(Transport(reactor, ours), context, server=True)
    secure = trio.SSLStream(stream(peer), old, server_hostname="example.org")

    async def be_refused() -> None:
        with pytest.raises(trio.BrokenResourceError) as refusal:
            await secure.do_handshake()
        assert "ALERT_PROTOCOL_VERSION" in str(refusal.value.__cause__)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(be_refused)
        with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
            await transport.handshake(trio.Semaphore(1))
    peer.close()
    secure.transport_stream.socket.close()
    transport.close()


async def test_who_hangs_up_during_the_handshake(reactor: Reactor, authority: Authority) -> None:
    peer, ours = tcp_pair()
    context = authority.server(authority.issue("example.org"))
    transport = TlsTransport(Transport(reactor, ours), context, server=True)
    peer.close()
    with pytest.raises(ssl.SSLError):
        await transport.handshake(trio.Semaphore(1))
    transport.close()
    assert repr(transport) == "<TlsTransport nothing agreed on, fd -1 closed>"


async def test_a_goodbye_waits_for_room(reactor: Reactor, authority: Authority) -> None:
    async with ends(reactor, authority, buffer=4096) as (_peer, transport):
        with suppress(BlockingIOError):
            while transport.sock.send(bytes(4096)):  # the peer can make nothing of it
                pass
        assert not transport.shutdown_write()
        assert not transport.ready & OUT
        transport.abort()
        assert transport.shutdown_write()  # to nobody


async def test_who_says_nothing_at_length_is_not_listened_to(
    reactor: Reactor, authority: Authority
) -> None:
    """Records without plaintext cost computing, and nothing else would bound them."""
    async with ends(reactor, authority) as (peer, transport):
        update_keys(peer._ssl_object, 6000, asking=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.transport_stream.send_all, peer._outgoing.read())
            with pytest.raises(ConnectionAbortedError, match="says nothing"):
                await transport.receive()
            nursery.cancel_scope.cancel()


async def test_who_asks_for_answers_has_to_read_them(
    reactor: Reactor, authority: Authority
) -> None:
    async with ends(reactor, authority, buffer=4096) as (peer, transport):

        async def ask() -> None:
            with suppress(trio.BrokenResourceError):
                while True:
                    update_keys(peer._ssl_object, 1000, asking=True)
                    await peer.send_all(b"x")

        async def hear() -> None:
            while await transport.receive():
                pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            with pytest.raises(ConnectionAbortedError, match="asks for more"):
                await hear()
            transport.close()


async def test_a_few_new_keys_are_nothing_special(reactor: Reactor, authority: Authority) -> None:
    async with ends(reactor, authority) as (peer, transport):
        for _ in range(20):
            update_keys(peer._ssl_object, 100, asking=True)
            await peer.send_all(b"x")
            assert await transport.receive() == b"x"
            await transport.send(b"y")
            assert await peer.receive_some() == b"y"
