"""Frames are followed as an implementation of the protocol writes them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol

from trioproxy.codec.websocket import FrameTracker, close_frame

PAYLOADS = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
FRAMES = st.lists(st.tuples(PAYLOADS, st.booleans()), min_size=1, max_size=6)


def written(size: int, *, mask: bool) -> bytes:
    return Frame(Opcode.BINARY, bytes(size)).serialize(mask=mask)


@given(FRAMES, st.data())
def test_it_knows_where_frames_end_however_they_come(
    sizes: list[tuple[int, bool]], data: st.DataObject
) -> None:
    frames = [written(size, mask=mask) for size, mask in sizes]
    stream = b"".join(frames)
    ends = {sum(map(len, frames[: index + 1])) for index in range(len(frames))} | {0}
    cuts = data.draw(st.lists(st.integers(0, len(stream)) | st.sampled_from(sorted(ends))))
    tracker = FrameTracker()
    position = 0
    for cut in [*sorted(cuts), len(stream)]:
        tracker.feed(stream[position:cut])
        position = cut
        assert tracker.boundary is (position in ends)
        tracker = FrameTracker.at(tracker.state)
    assert tracker.boundary


@given(st.sampled_from([1001, 1012]), st.binary(min_size=4, max_size=4))
def test_its_close_frames_are_understood(code: int, mask: bytes) -> None:
    for side, frame in ((CLIENT, close_frame(code)), (SERVER, close_frame(code, mask))):
        protocol = Protocol(side)
        protocol.receive_data(frame)
        (event,) = protocol.events_received()
        assert isinstance(event, Frame)
        assert Close.parse(event.data).code == code
