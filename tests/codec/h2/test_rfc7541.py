"""HPACK by RFC 7541: its examples (appendix C), h2spec's cases, and `hpack` as the oracle."""

from __future__ import annotations

import random

import hpack
import pytest
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_peer import Peer, frame, headers, size_update

from trioproxy.codec.h2 import huffman, tables
from trioproxy.codec.h2.codec import Codec
from trioproxy.codec.h2.decoder import CompressionError, Decoder
from trioproxy.codec.h2.encoder import Encoder
from trioproxy.codec.h2.entries import EntryReader
from trioproxy.codec.h2.events import ErrorCode, RequestReceived
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.messages import Response
from trioproxy.headers import Field, Headers

ANYTHING = EntryReader({}, {})


def decoder(table_size: int = 4096) -> Decoder:
    return Decoder(ANYTHING, table_size=table_size, max_list=2**20, max_fields=10_000)


def fields(reader: Decoder, block: bytes) -> list[Field]:
    return [entry.field for entry in reader.decode(block)]


def test_the_tables_are_those_of_the_rfc() -> None:
    assert [tuple(field) for field in HeaderTable.STATIC_TABLE] == tables.STATIC
    assert list(zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)) == huffman.CODES


@pytest.mark.parametrize(
    ("value", "bits", "wire"),
    [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a"), (31, 5, "1f00"), (30, 5, "1e")],
)
def test_integers(value: int, bits: int, wire: str) -> None:
    """C.1"""
    assert tables.write_integer(value, bits, 0).hex() == wire


EXAMPLES = {
    "C.2.1": ["400a637573746f6d2d6b65790d637573746f6d2d686561646572"],
    "C.2.2": ["040c2f73616d706c652f70617468"],
    "C.2.3": ["100870617373776f726406736563726574"],
    "C.2.4": ["82"],
    "C.3": [
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ],
    "C.4": [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ],
    "C.6": [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad1718"
        "63c78f0b97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7"
        "b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ],
}


@pytest.mark.parametrize("blocks", EXAMPLES.values(), ids=EXAMPLES)
def test_examples(blocks: list[str]) -> None:
    """Blocks of one connection, as the oracle understands them; C.6 with a table of 256 bytes."""
    ours, theirs = decoder(), hpack.Decoder()
    if len(blocks[0]) > 90:
        blocks = [size_update(256).hex() + blocks[0], *blocks[1:]]
    for block in blocks:
        wire = bytes.fromhex(block)
        assert fields(ours, wire) == [tuple(field) for field in theirs.decode(wire, raw=True)]


DECODING_ERRORS = {
    "2.3.3: an index beyond the table": b"\xbe",
    "2.3.3: a far index beyond the table": b"\xff\x80\x80\x01",
    "2.3.3: a name's index beyond the table": b"\x7f\x0f\x01a",
    "4.2: a size update behind a field": b"\x82\x21",
    "5.1: an integer without end": b"\xff" + b"\x80" * 100 + b"\x01",
    "5.1: an integer beyond 2^28": b"\xff\xff\xff\xff\xff\x01",
    "5.1: an integer cut short": b"\xff\x80",
    "5.2: a string cut short": b"\x40\x05abc",
    "5.2: padding longer than 7 bits": b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff",
    "5.2: padding of zeros": b"\x00\x81\x18\x01a",
    "5.2: padding of 8 ones alone": b"\x00\x81\xff\x01a",
    "5.2: EOS in a string": b"\x00\x85\xff\xff\xff\xff\xfc\x01a",
    "6.1: index 0": b"\x80",
    "6.2: no value": b"\x41",
    "6.3: a size update beyond the limit": b"\x3f\xe2\x1f",
}


@pytest.mark.parametrize("wire", DECODING_ERRORS.values(), ids=DECODING_ERRORS)
def test_decoding_errors(wire: bytes) -> None:
    with pytest.raises(CompressionError):
        decoder().decode(wire)
    assert Peer().say(frame(1, 5, 1, wire)).failure is ErrorCode.COMPRESSION_ERROR


REPRESENTATIONS = {
    "6.1: indexed": b"\x90",
    "6.2.1: indexing, indexed name": b"\x6f\x01a",
    "6.2.1: indexing, indexed name, Huffman": b"\x6f\x82\x1c\x7f",
    "6.2.1: indexing, new name": b"\x40\x03x-a\x01b",
    "6.2.1: indexing, new name, Huffman": b"\x40\x82\x1c\x7f\x82\x1c\x7f",
    "6.2.2: without indexing, indexed name": b"\x0f\x20\x01a",
    "6.2.2: without indexing, indexed name, Huffman": b"\x0f\x20\x82\x1c\x7f",
    "6.2.2: without indexing, new name": b"\x00\x03x-a\x01b",
    "6.2.2: without indexing, new name, Huffman": b"\x00\x82\x1c\x7f\x82\x1c\x7f",
    "6.2.3: never indexed, indexed name": b"\x1f\x20\x01a",
    "6.2.3: never indexed, indexed name, Huffman": b"\x1f\x20\x82\x1c\x7f",
    "6.2.3: never indexed, new name": b"\x10\x03x-a\x01b",
    "6.2.3: never indexed, new name, Huffman": b"\x10\x82\x1c\x7f\x82\x1c\x7f",
}


@pytest.mark.parametrize("wire", REPRESENTATIONS.values(), ids=REPRESENTATIONS)
def test_representations(wire: bytes) -> None:
    """Each is taken, and means what the oracle takes it for."""
    peer = Peer().say(headers(1, extra=wire))
    (event,) = peer.of(RequestReceived)
    assert isinstance(event, RequestReceived)
    assert event.request.headers.fields == [
        tuple(x) for x in hpack.Decoder().decode(wire, raw=True)
    ]


@pytest.mark.parametrize("update", [size_update(0), size_update(128) + size_update(4096)])
def test_size_updates(update: bytes) -> None:
    """6.3: one, and several, at the beginning of a block."""
    assert fields(decoder(), update + b"\x82") == [(b":method", b"GET")]


def test_a_smaller_table_evicts() -> None:
    """4.3"""
    reader = decoder()
    assert fields(reader, b"\x40\x01a\x01b\x40\x01c\x01d\xbe\xbf")[2:] == [
        (b"c", b"d"),
        (b"a", b"b"),
    ]
    assert fields(reader, size_update(67) + b"\xbe") == [(b"c", b"d")]
    with pytest.raises(CompressionError):
        reader.decode(b"\xbf")


def test_an_entry_larger_than_the_table_empties_it() -> None:
    """4.4: which is no error, even where it takes its name from what it drives out."""
    reader = decoder()
    reader.decode(b"\x40\x01a\x01b")
    assert fields(reader, b"\x7e\x7f\x81\x1f" + b"x" * 4096) == [(b"a", b"x" * 4096)]
    with pytest.raises(CompressionError):
        reader.decode(b"\xbe")


def test_a_table_that_has_to_shrink_is_said_to() -> None:
    """4.2: in the first block after the acknowledgement of our SETTINGS."""
    acknowledged = frame(4, 1, 0)
    small = Limits(header_table_size=100)
    assert Peer(small).say(headers(), acknowledged, headers(3)).failure is (
        ErrorCode.COMPRESSION_ERROR
    )
    update = frame(1, 5, 3, size_update(100) + b"\x82\x86\x84\x01\x01a")
    assert Peer(small).say(headers(), acknowledged, update).served == [1, 3]
    larger = frame(1, 5, 3, size_update(101) + b"\x82\x86\x84\x01\x01a")
    assert Peer(small).say(acknowledged, larger).failure is ErrorCode.COMPRESSION_ERROR


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_huffman_both_ways(data: bytes) -> None:
    coded = huffman.encode(data)
    assert huffman.decode(coded) == data
    assert coded == hpack.huffman.HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(data)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=20))
def test_huffman_refuses_what_the_oracle_refuses(data: bytes) -> None:
    try:
        expected = hpack.huffman_table.decode_huffman(data)
    except hpack.HPACKDecodingError:
        with pytest.raises(huffman.NotHuffman):
            huffman.decode(data)
    else:
        assert huffman.decode(data) == expected


names = st.sampled_from([b"x-a", b"x-b", b"accept", b"server", b"cookie", b"etag", b"x-token"])
values = st.text("ab /;=", max_size=40).map(lambda text: text.strip().encode())
lists = st.lists(st.tuples(names, values), max_size=12)
sizes = st.sampled_from([0, 40, 100, 4096, 100_000])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(lists, st.none() | sizes), max_size=12))
def test_what_we_encode_the_oracle_decodes(blocks: list[tuple[list[Field], int | None]]) -> None:
    codec, encoder, oracle = Codec(), Encoder(), hpack.Decoder()
    for sent, size in blocks:
        if size is not None:
            oracle.max_allowed_table_size = size
            encoder.allow(size)
        wire = codec.encode_response(Response(status=200, headers=Headers(sent)), encoder)
        assert [tuple(x) for x in oracle.decode(wire, raw=True)] == [(b":status", b"200"), *sent]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(lists, st.none() | sizes, st.booleans()), max_size=12))
def test_what_the_oracle_encodes_we_decode(
    blocks: list[tuple[list[Field], int | None, bool]],
) -> None:
    oracle, reader = hpack.Encoder(), decoder(100_000)
    for sent, size, coded in blocks:
        if size is not None:
            oracle.header_table_size = size
        assert fields(reader, oracle.encode(sent, huffman=coded)) == sent


def literal(rng: random.Random, index: int) -> bytes:
    """A field by name or by the index of one; for the table, for none, or for none ever."""
    flags, bits = rng.choice([(0x40, 6), (0x40, 6), (0x00, 4), (0x10, 4)])
    name = rng.choice([b"x-a", b"x-b", b"x-" + b"c" * 130])
    start = tables.write_integer(index, bits, flags)
    value = tables.write_string(rng.choice([b"", b"1", b"2", b"3" * 130]))
    return start + (b"" if index else tables.write_compressed(name)) + value


def representation(rng: random.Random, known: int) -> bytes:
    """Anything that is right while the dynamic table has that many entries."""
    indices = [*range(15, 20), *range(62, 62 + known), *range(62, 62 + known)]
    if rng.random() < 0.4:
        return literal(rng, rng.choice([0, 0, *indices]))
    return tables.write_integer(rng.choice(indices), 7, 0x80)


def test_whatever_is_said_and_said_again() -> None:
    """Requests of the same few blocks, in any order: each means what the oracle takes it for."""
    rng, heard = random.Random(1), 0
    for _ in range(1000):
        peer, oracle, said = Peer(), hpack.Decoder(), list[bytes]()
        for number in range(12):
            if not said or rng.random() < 0.4:
                known = len(oracle.header_table.dynamic_entries)
                parts = [representation(rng, known) for _ in range(rng.randint(0, 4))]
                update = rng.choice([b""] * 5 + [size_update(size) for size in (0, 100, 4096)])
                said.append(update + b"\x82\x86\x84\x01\x01a" + b"".join(parts))
            wire = rng.choice(said[-3:])
            events = peer.server.receive(frame(1, 5, 2 * number + 1, wire))
            try:
                expected = [tuple(field) for field in oracle.decode(wire, raw=True)][4:]
            except hpack.HPACKError:
                assert peer.server.failed
                break
            (event,) = events
            assert isinstance(event, RequestReceived)
            assert event.request.headers.fields == expected
            heard += len(expected)
    assert heard > 5000


def test_secrets_are_never_indexed() -> None:
    """7.1: neither in our table nor in those of whoever passes them on."""
    codec, encoder = Codec(), Encoder()
    for name in (b"authorization", b"cookie", b"set-cookie", b"x-api-key", b"x-csrf-token"):
        headers_sent = Headers([(name, b"secret"), (b"server", b"x")])
        for _ in range(2):
            wire = codec.encode_response(Response(status=200, headers=headers_sent), encoder)
            assert b"secret" in wire
            field = hpack.Decoder().decode(wire[: wire.index(b"secret") + 6], raw=True)[-1]
            assert isinstance(field, hpack.NeverIndexedHeaderTuple)


def test_the_same_fields_again_are_indices() -> None:
    codec, encoder = Codec(), Encoder()
    sent = [(b"server", b"trioproxy"), (b"content-type", b"text/plain"), (b"x-a", b"b")]
    response = Response(status=200, headers=Headers(sent))
    assert len(codec.encode_response(response, encoder)) > 20
    assert codec.encode_response(response, encoder) == b"\x88\xc0\xbf\xbe"


def test_an_unsafe_field_leaves_the_table_right() -> None:
    """What was encoded before it is never sent."""
    codec, encoder, oracle = Codec(), Encoder(), hpack.Decoder()
    good = Headers([(b"x-a", b"b"), (b"x-c", b"d")])
    bad = Headers([(b"x-e", b"f"), (b"x-bad", b"a\nb")])
    for sent in (good, bad, good, good):
        response = Response(status=200, headers=sent)
        if sent is bad:
            with pytest.raises(ValueError, match="x-bad"):
                codec.encode_response(response, encoder)
            continue
        wire = codec.encode_response(response, encoder)
        assert [tuple(x) for x in oracle.decode(wire, raw=True)][1:] == good.fields


def test_damaged_blocks_are_refused_or_understood() -> None:
    """As the oracle does, in bounded time, and with a table within its bounds."""
    rng, understood = random.Random(1), 0
    sent = [[(b"x-a", b"b" * n), (b":path", b"/%d" % n)] for n in range(40)]
    sound = [hpack.Encoder().encode(each) for each in sent]
    sound += list(REPRESENTATIONS.values())
    for _ in range(3000):
        ours, theirs = decoder(), hpack.Decoder()
        for _ in range(5):
            wire = bytearray(rng.choice(sound))
            for _ in range(rng.choice([0, 0, 1])):
                wire[rng.randrange(len(wire))] = rng.randrange(256)
            try:
                expected = [tuple(field) for field in theirs.decode(bytes(wire), raw=True)]
            except hpack.HPACKError:
                with pytest.raises(CompressionError):
                    ours.decode(bytes(wire))
                break
            assert fields(ours, bytes(wire)) == expected
            understood += 1
    assert understood > 3000
    assert len(ANYTHING.entries) <= 1024
