"""The codec's benchmark: what it measures are exchanges that take place."""

from __future__ import annotations

import pytest
from raw_peer import parse

from benchmarks import h2_codec
from trioproxy.codec.h2 import frames


@pytest.mark.parametrize("make", [h2_codec.ours, h2_codec.hyper])
@pytest.mark.parametrize("payload", [b"", h2_codec.BODY])
@pytest.mark.parametrize("ask", [h2_codec.same, h2_codec.browsing])
def test_every_request_is_answered(
    monkeypatch: pytest.MonkeyPatch, make: object, payload: bytes, ask: object
) -> None:
    monkeypatch.setattr(h2_codec, "BATCHES", 20)
    assert callable(make)
    assert callable(ask)
    serve = make()
    said = parse(b"".join(serve(piece) for piece in h2_codec.batches(ask, payload)))
    bodies = [each for each in said if each.kind == frames.DATA]
    assert [each.payload for each in bodies] == [h2_codec.BODY] * 20 * h2_codec.BATCH
    assert not [each for each in said if each.kind in (frames.GOAWAY, frames.RST_STREAM)]


@pytest.mark.parametrize("make", [h2_codec.our_client, h2_codec.hyper_client])
def test_every_answer_is_followed_by_a_request(
    monkeypatch: pytest.MonkeyPatch, make: object
) -> None:
    monkeypatch.setattr(h2_codec, "BATCHES", 20)
    assert callable(make)
    serve = make()
    wire = b"".join(serve(piece) for piece in h2_codec.answers()).removeprefix(frames.PREFACE)
    said = parse(wire)
    assert len([each for each in said if each.kind == frames.HEADERS]) == 21 * h2_codec.BATCH
    assert not [each for each in said if each.kind in (frames.GOAWAY, frames.RST_STREAM)]
