from __future__ import annotations

import itertools

import pytest
import trio
from ends import PAIRS, Relay, open_relay, read_all, reset, stuff, turns
from hypothesis import given, settings
from hypothesis import strategies as st

from trioproxy.reactor.epoll import IN, OUT, Reactor
from trioproxy.reactor.flow import COPY_SIZE, Flow
from trioproxy.reactor.pipes import PIPE_SIZE
from trioproxy.reactor.pump import Pump
from trioproxy.reactor.running import open_reactor


async def say_and_close(end: trio.SocketStream, data: bytes) -> None:
    await end.send_all(data)
    await end.send_eof()


async def send_in_vain(end: trio.SocketStream) -> None:
    await end.send_all(bytes(5_000_000))
    pytest.fail("nobody read that")


async def test_a_dialogue(reactor: Reactor, kind: str) -> None:
    async with open_relay(reactor, kind) as relay, trio.open_nursery() as nursery:
        nursery.start_soon(relay.pump().run)
        for number in range(50):
            question, answer = b"question %d" % number, b"answer %d" % number
            await relay.client.send_all(question)
            assert await relay.server.receive_some(100) == question
            await relay.server.send_all(answer)
            assert await relay.client.receive_some(100) == answer
        await relay.client.send_eof()
        assert await relay.server.receive_some(100) == b""
        await relay.server.send_eof()
        assert await relay.client.receive_some(100) == b""


@pytest.mark.parametrize("length", [10, 300_000, 5_000_000])
@pytest.mark.parametrize("first", ["client", "server", "both"])
async def test_half_closed_in_either_order_all_arrives(
    reactor: Reactor, kind: str, length: int, first: str
) -> None:
    question, answer = stuff(length), stuff(length + 1)[::-1]
    got: dict[str, bytes] = {}

    async def converse(name: str, end: trio.SocketStream, mine: bytes) -> None:
        if first in {name, "both"}:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(say_and_close, end, mine)
                got[name] = await read_all(end)
        else:
            got[name] = await read_all(end)
            await say_and_close(end, mine)

    async with open_relay(reactor, kind) as relay, trio.open_nursery() as nursery:
        nursery.start_soon(relay.pump().run)
        nursery.start_soon(converse, "client", relay.client, question)
        nursery.start_soon(converse, "server", relay.server, answer)
    assert got == {"client": answer, "server": question}
    assert (relay.forth.moved, relay.back.moved) == (len(question), len(answer))


async def test_bytes_and_end_that_came_before_the_pump_are_moved(
    reactor: Reactor, kind: str
) -> None:
    async with open_relay(reactor, kind) as relay:
        await say_and_close(relay.client, b"early")
        await say_and_close(relay.server, b"bird")
        await turns()
        await relay.pump().run()
        assert await read_all(relay.server) == b"early"
        assert await read_all(relay.client) == b"bird"


@pytest.mark.parametrize("before", [False, True])
async def test_an_interruption_does_not_cut_last_words(reactor: Reactor, *, before: bool) -> None:
    """Their speaker is gone: what is left of them flows to the end."""
    words = stuff(100_000)
    async with open_relay(reactor, "tcp", buffer=4096) as relay:
        relay.back = Flow(relay.up, relay.down, held=words)
        pump = relay.pump()
        reset(relay.server)
        if before:
            await turns()

        async def run() -> None:
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await pump.run()
            relay.down.shutdown_write()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            while pump.broken is None:
                await turns()
            pump.interrupt(ValueError("not now"))
            assert await read_all(relay.client) == words


@pytest.mark.parametrize("bulk", [False, True])
async def test_a_reader_that_reads_nothing_stops_the_source(
    reactor: Reactor, kind: str, *, bulk: bool
) -> None:
    """Back-pressure: of 8 MB only what the sockets and one buffer hold leaves the client."""
    data = stuff(8_000_000)
    async with open_relay(reactor, kind, 60_000) as relay, trio.open_nursery() as nursery:
        relay.forth.bulk = bulk
        nursery.start_soon(relay.pump().run)
        nursery.start_soon(say_and_close, relay.client, data)
        await turns(200)
        in_hand = relay.forth.pipe.held if relay.forth.pipe else len(relay.forth.held)
        assert 0 < in_hand <= (PIPE_SIZE if bulk else COPY_SIZE)
        assert relay.forth.moved < 1_000_000
        # The other direction does not suffer.
        await relay.server.send_all(b"still here")
        assert await relay.client.receive_some(100) == b"still here"
        assert await read_all(relay.server, slowly=100_000) == data
        await relay.server.send_eof()


@pytest.mark.parametrize("who", ["client", "server"])
@pytest.mark.parametrize(
    "moment", ["before", "idle", "blocked", "half-closed", "half-closed by me"]
)
async def test_a_reset_ends_the_pump_and_says_who(reactor: Reactor, who: str, moment: str) -> None:
    async with open_relay(reactor, "tcp", 60_000) as relay:
        ends = {"client": relay.client, "server": relay.server}
        broken = {"client": relay.down, "server": relay.up}
        me, other = ends.pop(who), next(iter(ends.values()))
        pump = relay.pump()

        async def run() -> None:
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await pump.run()

        if moment == "before":
            reset(me)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await turns()
            if moment == "blocked":
                nursery.start_soon(send_in_vain, other)
            if moment == "half-closed":
                await other.send_eof()
            if moment == "half-closed by me":
                await me.send_eof()
            await turns()
            if moment != "before":
                reset(me)
            while pump.broken is None:
                await turns()
            nursery.cancel_scope.cancel()
        assert pump.broken is broken[who]


@pytest.mark.parametrize("length", [10, 2_000_000])
async def test_the_last_words_of_a_server_that_reset_us_are_delivered(
    reactor: Reactor, length: int
) -> None:
    """It answered early and closed with our bytes unread: its answer reaches the client whole."""
    answer = stuff(length)
    async with open_relay(reactor, "tcp") as relay:
        await relay.client.send_all(b"a question that nobody reads")
        relay.down.ready = relay.up.ready = IN | OUT
        pump = relay.pump()
        got: list[bytes] = []

        async def run() -> None:
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await pump.run()
            relay.down.shutdown_write()

        async def listen() -> None:
            got.append(await read_all(relay.client))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await turns()
            await relay.server.send_all(answer)
            await turns()
            relay.server.socket.close()
            await turns()
            await relay.client.send_all(b"another")
            nursery.start_soon(listen)
        assert got == [answer]
        assert pump.broken is relay.up


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("buffer", [20_000, 0])
async def test_cancelled_at_any_moment_another_pump_goes_on(
    reactor: Reactor, kind: str, buffer: int, *, bulk: bool
) -> None:
    """Cut into pieces at ever other checkpoints, the stream is whole, and nothing is left over."""
    data = stuff(3_000_000)
    counted = 0

    def count(forth: int, _back: int) -> None:
        nonlocal counted
        counted += forth

    async with open_relay(reactor, kind, buffer) as relay:
        received: list[bytes] = []

        async def listen() -> None:
            received.append(await read_all(relay.server, slowly=50_000))
            await relay.server.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(say_and_close, relay.client, data)
            nursery.start_soon(listen)
            relay.forth.bulk = bulk
            for patience in itertools.cycle(range(7)):
                async with trio.open_nursery() as life:
                    life.start_soon(relay.pump(count).run)
                    for _ in range(patience):
                        await trio.lowlevel.checkpoint()
                    life.cancel_scope.cancel()
                assert relay.unattached()
                assert relay.forth.pipe is relay.back.pipe is None
                if relay.forth.done and relay.back.done:
                    break
        assert received == [data]
        assert counted == relay.forth.moved == len(data)


async def test_progress_is_told_exactly(reactor: Reactor, kind: str) -> None:
    told: list[tuple[int, int]] = []
    async with open_relay(reactor, kind) as relay:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay.pump(lambda *each: told.append(each)).run)
            await relay.client.send_all(b"12345")
            await relay.server.receive_some(100)
            await relay.server.send_all(b"123")
            await relay.client.receive_some(100)
            assert told == [(5, 0), (0, 3)]
            nursery.start_soon(say_and_close, relay.client, stuff(2_000_000))
            nursery.start_soon(say_and_close, relay.server, stuff(1_000_000))
            nursery.start_soon(read_all, relay.client)
            nursery.start_soon(read_all, relay.server)
        assert sum(forth for forth, _ in told) == 2_000_005
        assert sum(back for _, back in told) == 1_000_003
        assert (0, 0) not in told


async def test_a_bug_in_progress_ends_its_own_pump_alone(reactor: Reactor) -> None:
    def bug(_forth: int, _back: int) -> None:
        raise ZeroDivisionError

    async def run(relay: Relay) -> None:
        with pytest.raises(ZeroDivisionError):
            await relay.pump(bug).run()

    async with (
        open_relay(reactor) as broken,
        open_relay(reactor) as relay,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(run, broken)
        nursery.start_soon(relay.pump().run)
        await turns()
        await broken.client.send_all(b"hello")
        await turns()
        await relay.client.send_all(b"hello")
        assert await relay.server.receive_some(100) == b"hello"
        nursery.cancel_scope.cancel()


async def test_one_flow_alone_can_be_pumped_to_its_limit(reactor: Reactor, kind: str) -> None:
    """As the body of a message is: what comes behind it is not touched."""
    data = stuff(1_000_000)
    async with open_relay(reactor, kind) as relay:
        flow = Flow(relay.down, relay.up, held=data[:1000], limit=900_000, half_close=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay.client.send_all, data[1000:])
            nursery.start_soon(Pump([flow], relay.pipes).run)
            received = b""
            while len(received) < 900_000:
                received += await relay.server.receive_some(100_000)
            assert received == data[:900_000]
            rest = b""
            while len(rest) < 100_000:
                rest += await relay.down.receive(100_000)
            assert rest == data[900_000:]
        assert not flow.ended


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.tuples(st.integers(0, 700_000), st.integers(0, 700_000)),
    kind=st.sampled_from(sorted(PAIRS)),
    buffer=st.sampled_from([0, 10_000, 100_000]),
    slowly=st.tuples(st.integers(500, 100_000), st.integers(500, 100_000)),
    pipes=st.integers(0, 2),
    bulk=st.tuples(st.booleans(), st.booleans()),
)
async def test_whatever_the_pace_both_ways_are_exact(
    sizes: tuple[int, int],
    kind: str,
    buffer: int,
    slowly: tuple[int, int],
    pipes: int,
    bulk: tuple[bool, bool],
) -> None:
    question, answer = map(stuff, sizes)
    got: dict[str, bytes] = {}

    async def listen(name: str, end: trio.SocketStream, pace: int) -> None:
        got[name] = await read_all(end, slowly=pace)

    async with open_reactor() as reactor, open_relay(reactor, kind, buffer, pipes) as relay:
        relay.forth.bulk, relay.back.bulk = bulk
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay.pump().run)
            nursery.start_soon(say_and_close, relay.client, question)
            nursery.start_soon(say_and_close, relay.server, answer)
            nursery.start_soon(listen, "client", relay.client, slowly[0])
            nursery.start_soon(listen, "server", relay.server, slowly[1])
    assert got == {"client": answer, "server": question}
