from __future__ import annotations

import pytest

from trioproxy.codec import body
from trioproxy.codec.errors import TruncatedMessage
from trioproxy.codec.messages import Request, Response


@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_a_length_ends_the_body(step: int) -> None:
    decoder = body.Length(5)
    wire = b"helloGET /"
    payload = b"".join(decoder.receive(wire[at : at + step]) for at in range(0, 10, step))
    assert payload == b"hello"
    assert decoder.done
    assert decoder.rest == b"GET /"
    decoder.eof()


def test_nothing_is_copied_that_need_not_be() -> None:
    data = b"x" * 1000
    decoder = body.Length(2000)
    assert decoder.receive(data) is data
    assert not decoder.done
    assert decoder.receive(data) is data
    assert decoder.done
    assert body.UntilClose().receive(data) is data


def test_a_length_of_nothing_is_done() -> None:
    decoder = body.Length(0)
    assert decoder.done
    assert decoder.receive(b"GET") == b""
    assert decoder.rest == b"GET"
    decoder.eof()


def test_an_early_end_is_told() -> None:
    decoder = body.Length(5)
    decoder.receive(b"hell")
    with pytest.raises(TruncatedMessage, match="1 bytes"):
        decoder.eof()


def test_the_end_of_the_connection_may_end_a_body() -> None:
    decoder = body.UntilClose()
    assert decoder.receive(b"a") + decoder.receive(b"b") == b"ab"
    assert not decoder.done
    decoder.eof()
    assert decoder.done
    assert decoder.rest == b""


def test_without_a_body_everything_is_rest() -> None:
    decoder = body.NoBody()
    assert decoder.done
    assert decoder.receive(b"a") + decoder.receive(b"b") == b""
    assert decoder.rest == b"ab"
    assert not decoder.trailers.fields
    decoder.eof()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (Request(), body.NoBody),
        (Request(content_length=0), body.NoBody),
        (Request(content_length=5), body.Length),
        (Request(chunked=True), body.Chunked),
        (Response(status=200), body.UntilClose),
        (Response(status=200, content_length=0), body.Length),
        (Response(status=200, chunked=True), body.Chunked),
        (Response(status=200, chunked=True, bodiless=True), body.NoBody),
        (Response(status=204), body.NoBody),
        (Response(status=304, content_length=5), body.NoBody),
        (Response(status=100), body.NoBody),
    ],
)
def test_the_head_tells_the_decoder(message: Request | Response, kind: type) -> None:
    assert type(body.decoder(message)) is kind
