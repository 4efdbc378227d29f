from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

import pytest
from ends import PAIRS, stuff
from hypothesis import given, settings
from hypothesis import strategies as st

from trioproxy.reactor.epoll import IN, OUT, Reactor
from trioproxy.reactor.flow import COPY_SIZE, SMALL_SPLICES_BEFORE_COPY, Flow
from trioproxy.reactor.pipes import PIPE_SIZE, PipePool
from trioproxy.reactor.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

PLENTY = 4 * 1024 * 1024


class Pipeline:
    """peer -> source == flow == sink -> far: the readiness is told by hand, no reactor runs."""

    def __init__(self, kind: str = "unix", *, pipes: int = 1, buffer: int = PLENTY) -> None:
        self.reactor = Reactor()
        self.pipes = PipePool(pipes)
        self.peer, source = PAIRS[kind](buffer)
        sink, self.far = PAIRS[kind](buffer)
        self.peer.setblocking(False)
        self.far.setblocking(False)
        self.source = Transport(self.reactor, source)
        self.sink = Transport(self.reactor, sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            for each in (self.peer, self.far, self.source, self.sink, self.reactor):
                stack.callback(each.close)
            stack.enter_context(self.pipes)

    def run(self, flow: Flow) -> None:
        """Step until it would have to wait."""
        self.source.ready |= IN
        self.sink.ready |= OUT
        while flow.at.ready & flow.flag:
            flow.step(self.pipes)

    def arrived(self) -> bytes:
        data = bytearray()
        try:
            while piece := self.far.recv(1 << 20):
                data += piece
        except BlockingIOError:
            pass
        return bytes(data)

    def bulk_flow(self, **options: int) -> Flow:
        flow = Flow(self.source, self.sink, **options)
        flow.bulk = True
        return flow


async def test_what_is_there_goes_on_and_then_it_waits() -> None:
    with Pipeline() as line:
        flow = Flow(line.source, line.sink)
        line.peer.send(b"hello")
        line.run(flow)
        assert line.arrived() == b"hello"
        assert (flow.at, flow.flag, flow.moved) == (line.source, IN, 5)


async def test_the_end_is_passed_on_once_all_is_sent(kind: str) -> None:
    with Pipeline(kind) as line:
        flow = Flow(line.source, line.sink)
        line.peer.send(b"bye")
        line.run(flow)
        assert not flow.done
        line.peer.close()
        line.run(flow)
        assert flow.done
        assert flow.ended
        assert line.far.recv(100) == b"bye"
        assert line.far.recv(100) == b""


async def test_the_end_is_kept_to_itself_where_the_sink_is_to_stay_open(kind: str) -> None:
    with Pipeline(kind) as line:
        flow = Flow(line.source, line.sink, half_close=False)
        line.peer.close()
        line.run(flow)
        assert flow.ended
        with pytest.raises(BlockingIOError):
            line.far.recv(100)


async def test_at_its_limit_it_is_done_and_the_rest_stays_where_it_was(kind: str) -> None:
    with Pipeline(kind) as line:
        flow = Flow(line.source, line.sink, limit=5)
        line.peer.send(b"hello world")
        line.run(flow)
        assert flow.done
        assert not flow.ended
        assert line.arrived() == b"hello"
        assert line.source.receive_nowait() == b" world"


async def test_a_limit_of_nothing_is_done_at_once() -> None:
    with Pipeline() as line:
        assert Flow(line.source, line.sink, limit=0).done


async def test_a_stream_that_fills_buffers_is_spliced_and_a_trickle_is_copied_again(
    kind: str,
) -> None:
    with Pipeline(kind) as line:
        flow = Flow(line.source, line.sink)
        data, sent, received = stuff(30 * COPY_SIZE), 0, b""
        while not flow.bulk:
            sent += line.peer.send(data[sent : sent + 4 * COPY_SIZE])
            line.run(flow)
            received += line.arrived()
            assert sent < len(data)
        sent += line.peer.send(data[sent : sent + COPY_SIZE])
        before = flow.moved
        flow.step(line.pipes)
        assert flow.moved > before
        line.run(flow)
        for _ in range(SMALL_SPLICES_BEFORE_COPY + 1):
            assert flow.bulk
            sent += line.peer.send(data[sent : sent + 10])
            line.run(flow)
        assert not flow.bulk
        sent += line.peer.send(data[sent : sent + 10])
        line.run(flow)
        received += line.arrived()
        assert received == data[:sent]
        assert flow.moved == sent


async def test_without_a_pipe_bulk_is_copied() -> None:
    with Pipeline(pipes=0) as line:
        flow = line.bulk_flow()
        data = stuff(8 * COPY_SIZE)
        sent = line.peer.send(data)
        line.run(flow)
        assert line.arrived() == data[:sent]
        assert flow.bulk


async def test_an_idle_flow_keeps_no_pipe(kind: str) -> None:
    with Pipeline(kind) as line:
        flow = line.bulk_flow()
        line.peer.send(stuff(COPY_SIZE))
        line.run(flow)
        assert flow.pipe is None
        assert repr(line.pipes) == "<PipePool 1 idle, 0 more allowed>"


async def test_the_end_of_a_spliced_stream_is_passed_on(kind: str) -> None:
    with Pipeline(kind) as line:
        flow = line.bulk_flow()
        line.peer.send(b"bye")
        line.peer.close()
        line.run(flow)
        assert line.far.recv(100) == b"bye"
        assert line.far.recv(100) == b""
        assert flow.pipe is None


@pytest.mark.parametrize("bulk", [False, True])
async def test_a_sink_that_takes_nothing_bounds_what_is_held(kind: str, *, bulk: bool) -> None:
    """Back-pressure: past one buffer, or one pipe, nothing more is read from the source."""
    with Pipeline(kind, buffer=50_000) as line:
        flow = Flow(line.source, line.sink)
        flow.bulk = bulk
        data, sent = stuff(5_000_000), 0
        blocked = 0
        while blocked < 3:
            try:
                sent += line.peer.send(data[sent : sent + 100_000])
                blocked = 0
            except BlockingIOError:
                blocked += 1
            line.run(flow)
        assert sent < len(data)
        assert flow.flag == OUT
        in_hand = flow.pipe.held if flow.pipe else len(flow.held)
        assert 0 < in_hand <= (PIPE_SIZE if bulk else COPY_SIZE)
        received = line.arrived()
        while flow.moved < sent:
            line.run(flow)
            received += line.arrived()
        assert received + line.arrived() == data[:sent]


@pytest.mark.parametrize("bulk", [False, True])
async def test_settled_with_bytes_in_hand_another_flow_goes_on(kind: str, *, bulk: bool) -> None:
    """What is in flight can be taken out whole: nothing is lost, nothing comes twice."""
    with Pipeline(kind, buffer=50_000) as line:
        flow = Flow(line.source, line.sink)
        flow.bulk = bulk
        data, sent = stuff(2_000_000), 0
        while flow.flag == IN:
            sent += line.peer.send(data[sent : sent + 60_000])
            line.run(flow)
        assert bool(flow.pipe) == bulk
        flow.settle(line.pipes)
        assert flow.pipe is None
        held = bytes(flow.held)
        assert held
        received = line.arrived()
        successor = Flow(line.source, line.sink, held=held)
        while flow.moved + successor.moved < sent:
            line.run(successor)
            received += line.arrived()
        assert received + line.arrived() == data[:sent]


def failing(error: OSError) -> Callable[..., int]:
    def splice(*_: object, **__: object) -> int:
        raise error

    return splice


async def test_a_failing_source_gives_its_pipe_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pipeline() as line:
        flow = line.bulk_flow()
        with monkeypatch.context() as patch:
            patch.setattr("os.splice", failing(ConnectionResetError()))
            with pytest.raises(ConnectionResetError):
                line.run(flow)
        assert flow.pipe is None
        assert flow.at is line.source
        assert repr(line.pipes) == "<PipePool 1 idle, 0 more allowed>"


@pytest.mark.parametrize("bulk", [False, True])
async def test_a_sink_that_is_gone_is_where_the_flow_failed(*, bulk: bool) -> None:
    with Pipeline() as line:
        flow = Flow(line.source, line.sink)
        flow.bulk = bulk
        line.far.close()
        line.peer.send(b"hello")
        with pytest.raises(BrokenPipeError):
            line.run(flow)
        assert flow.at is line.sink
        flow.settle(line.pipes)


@settings(deadline=None, max_examples=60)
@given(
    chunks=st.lists(st.integers(1, 300_000), max_size=12),
    held=st.integers(0, 5000),
    limit=st.none() | st.integers(0, 900_000),
    bulk=st.booleans(),
    buffer=st.sampled_from([5_000, 70_000, 500_000]),
    reads=st.lists(st.integers(1, 100_000), min_size=1, max_size=5),
    kind=st.sampled_from(sorted(PAIRS)),
    closes=st.booleans(),
)
async def test_every_byte_arrives_once_and_in_order(
    chunks: list[int],
    held: int,
    limit: int | None,
    bulk: bool,
    buffer: int,
    reads: list[int],
    kind: str,
    closes: bool,
) -> None:
    """Under any chunking, buffer and limit, what arrived is exactly the prefix it should be."""
    if limit is not None:
        held = min(held, limit)
    data = stuff(held + sum(chunks))
    expected = data[:limit]
    with Pipeline(kind, buffer=buffer) as line:
        flow = Flow(line.source, line.sink, held=data[:held], limit=limit)
        flow.bulk = bulk
        sent, received, turn = held, bytearray(), 0
        while len(received) < len(expected):
            if chunks:
                chunk = min(chunks[0], len(data) - sent)
                try:
                    count = line.peer.send(data[sent : sent + chunk])
                except BlockingIOError:
                    count = 0
                sent += count
                chunks = chunks[1:] if count == chunk else [chunk - count, *chunks[1:]]
            line.run(flow)
            with suppress(BlockingIOError):
                received += line.far.recv(reads[turn % len(reads)])
            turn += 1
        assert bytes(received) == expected
        assert flow.moved == len(expected)
        if closes and flow.moved != limit:
            line.peer.shutdown(socket.SHUT_WR)
            line.run(flow)
            assert flow.ended
            assert line.far.recv(1) == b""
        assert flow.done == (flow.moved == limit or flow.ended)
        assert flow.pipe is None
        assert not flow.held
