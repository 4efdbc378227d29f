from __future__ import annotations

import pytest

from trioproxy.codec.chunks import Chunked, chunk_head, encode_chunk, encode_trailers
from trioproxy.codec.errors import MalformedMessage, TruncatedMessage, UnsafeMessage
from trioproxy.headers import Headers

END = b"0\r\n\r\n"


def feed(wire: bytes, step: int, body: Chunked) -> bytes:
    return b"".join(body.receive(wire[at : at + step]) for at in range(0, len(wire), step))


STEPS = [1, 2, 3, 7, 1 << 20]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("wire", "payload"),
    [
        (END, b""),
        (b"000\r\n\r\n", b""),
        (b"5\r\nhello\r\n" + END, b"hello"),
        (b"00000000000005\r\nhello\r\n" + END, b"hello"),
        (b"1\r\nh\r\n4\r\nello\r\n" + END, b"hello"),
        (b"A\r\n0123456789\r\na\r\n0123456789\r\n" + END, b"0123456789" * 2),
        (b"4\r\n\r\n\r\n\r\n" + END, b"\r\n\r\n"),
        (b"5\r\n0\r\n\r\n\r\n" + END, b"0\r\n\r\n"),
        (b'5;a=b;c="d e"\r\nhello\r\n0;x\r\n\r\n', b"hello"),
        (b"5\r\nhello\r\n5;a\r\nhello\r\n5\r\nhello\r\n" + END, b"hello" * 3),
    ],
)
def test_chunks_come_out_joined_however_they_arrive(wire: bytes, payload: bytes, step: int) -> None:
    body = Chunked()
    assert feed(wire, step, body) == payload
    assert body.done
    assert body.rest == b""
    assert not body.trailers.fields
    body.eof()


@pytest.mark.parametrize("step", STEPS)
def test_what_follows_the_message_is_kept(step: int) -> None:
    body = Chunked()
    assert feed(b"2\r\nhi\r\n" + END + b"GET / HTTP/1.1\r\n", step, body) == b"hi"
    assert body.rest == b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "wire",
    [
        b"\r\n",
        b"\r\nhello",
        b"+5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5_0\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5\t\r\nhello\r\n",
        b"5 ;a\r\nhello\r\n",
        b"5;\r\nhello\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"5;a\x00\r\nhello\r\n",
        b"g\r\n",
        b"\xd9\xa1\r\n",
        b";a\r\n",
        b"5\nhello\r\n" + END,
        b"5\rhello\r\n" + END,
        b"5\r\r\nhello\r\n",
        b"5\n\r\nhello\r\n",
        b"0" * 15 + b"5\r\nhello\r\n",
        b"f" * 16 + b"\r\n",
        b"5\r\nhello!\r\n" + END,
        b"5\r\nhell\r\n" + END,
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\n" + END,
        b"5\r\nhello\r" + END,
        b"5\r\nhello\r\n+5\r\nhello\r\n",
        b"5\r\nhello\r\n 5\r\nhello\r\n",
        b"5\r\nhello\r\n\r\n",
        b"0\r\n\n\r\n",
        b"0\r\na\r\n\r\n",
        b"0\r\na : b\r\n\r\n",
        b"0\r\n a: b\r\n\r\n",
        b"0\r\na: b\r\n c\r\n\r\n",
        b"0\r\na: b\nc: d\r\n\r\n",
        b"0\r\na: \x00\r\n\r\n",
    ],
)
def test_odd_chunks_are_refused_however_they_arrive(wire: bytes, step: int) -> None:
    with pytest.raises(MalformedMessage):
        feed(wire, step, Chunked())


@pytest.mark.parametrize("step", STEPS)
def test_trailers(step: int) -> None:
    body = Chunked()
    feed(b"0\r\nX-Sum: 5\r\nContent-Length: 5\r\nHost: x\r\nSet-Cookie: a\r\n\r\n", step, body)
    assert body.trailers.fields == [(b"x-sum", b"5")]
    assert body.done


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("length", "fits"), [(32, True), (33, False)])
def test_a_line_is_bounded(length: int, fits: bool, step: int) -> None:
    wire = (b"5;" + b"x" * 64)[:length] + b"\r\nhello\r\n" + END
    if fits:
        assert feed(wire, step, Chunked(max_line=32)) == b"hello"
    else:
        with pytest.raises(MalformedMessage):
            feed(wire, step, Chunked(max_line=32))


def test_a_line_without_an_end_is_refused_once_it_is_too_long() -> None:
    body = Chunked(max_line=32)
    body.receive(b"5;" + b"x" * 30)
    with pytest.raises(MalformedMessage):
        body.receive(b"xx")


def test_extensions_may_not_outweigh_the_payload() -> None:
    body = Chunked(max_waste=100)
    fair = b"20;" + b"x" * 0x20 + b"\r\n" + b"y" * 0x20 + b"\r\n"
    assert len(body.receive(fair * 1000)) == 0x20 * 1000
    with pytest.raises(MalformedMessage):
        body.receive((b"1;" + b"x" * 20 + b"\r\ny\r\n") * 10)


@pytest.mark.parametrize("step", STEPS)
def test_the_trailer_section_is_bounded(step: int) -> None:
    body = Chunked(max_trailers=100)
    with pytest.raises(MalformedMessage) as caught:
        feed(b"0\r\n" + b"a: 45678\r\n" * 13, step, body)
    assert caught.value.status == 431


@pytest.mark.parametrize("wire", [b"", b"5", b"5\r\nhell", b"5\r\nhello\r\n", b"0\r\n", b"0\r\na"])
def test_an_early_end_is_told(wire: bytes) -> None:
    body = Chunked()
    body.receive(wire)
    with pytest.raises(TruncatedMessage):
        body.eof()


def test_what_lies_within_one_chunk_is_not_copied() -> None:
    body = Chunked()
    body.receive(b"100000\r\n")
    data = b"x" * 65536
    assert body.receive(data) is data


def test_encoded_chunks_are_read_again() -> None:
    trailers = Headers([(b"x-sum", b"1")])
    wire = encode_chunk(b"hello") + chunk_head(300) + b"x" * 300 + b"\r\n"
    body = Chunked()
    assert body.receive(wire + encode_trailers(trailers)) == b"hello" + b"x" * 300
    assert body.trailers.fields == trailers.fields
    assert encode_chunk(b"") == b"", "it would end the body"
    assert encode_trailers() == encode_trailers(Headers()) == END


@pytest.mark.parametrize(
    "field", [(b"content-length", b"5"), (b"a", b"b\r\nc: d"), (b"a b", b"c"), (b"host", b"x")]
)
def test_a_trailer_that_would_be_something_else_is_not_written(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(UnsafeMessage):
        encode_trailers(Headers([field]))
