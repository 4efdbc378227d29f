"""The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B).

Decoding takes a byte at a time: at each point of the code's tree a row maps the next byte to the
point that it leads to and to what it spells. Rows fill as bytes are met; what a worker's peers
send is mostly the same hundred points of it.
"""

from __future__ import annotations

EOS = 256
# The code is canonical: these, in this order, take ascending codes of these many bits.
SYMBOLS = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\x00$@[]~",
    14: b"^}",
    15: b"<`{",
    19: b"\\\xc3\xd0",
    20: b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2",
    21: b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6",
    22: b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4"
    b"\xc6\xe4\xe8\xe9",
    23: b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4"
    b"\xb6\xb7\xbc\xbf\xc5\xe7\xef",
    24: b"\t\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed",
    25: b"\xc7\xcf\xea\xeb",
    26: b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
    27: b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
    28: b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b"
    b"\x1c\x1d\x1e\x1f\x7f\xdc\xf9",
    30: b"\n\r\x16",
}


class NotHuffman(ValueError):
    """The bits spell EOS, or do not end in less than 8 bits of it."""


def _codes() -> list[tuple[int, int]]:
    """The code of each symbol, EOS last: its bits as a number, and how many they are."""
    codes = [(0, 0)] * (EOS + 1)
    code, before = 0, 0
    for length, symbols in SYMBOLS.items():
        code <<= length - before
        before = length
        for symbol in symbols:
            codes[symbol] = (code, length)
            code += 1
    codes[EOS] = (code, before)
    return codes


CODES = _codes()


class Point(dict[int, "tuple[Point, bytes]"]):
    """A point of the code's tree: a number of bits that do not spell a symbol yet.

    `bits` tells which of the two bits leads to which point or symbol; `ends`: a string may end
    here, as what was read of the next symbol is padding.
    """

    __slots__ = ("bits", "ends")

    def __init__(self, *, ends: bool) -> None:
        super().__init__()
        self.bits: list[Point | int | None] = [None, None]
        self.ends = ends

    def __missing__(self, byte: int) -> tuple[Point, bytes]:
        point, spelled = self, bytearray()
        for shift in range(7, -1, -1):
            follower = point.bits[byte >> shift & 1]
            if isinstance(follower, Point):
                point = follower
                continue
            if follower is None or follower == EOS:
                raise NotHuffman("EOS in a string")
            spelled.append(follower)
            point = ROOT
        self[byte] = step = (point, bytes(spelled))
        return step


def _tree() -> Point:
    root = Point(ends=True)
    for symbol, (code, length) in enumerate(CODES):
        point = root
        for shift in range(length - 1, 0, -1):
            bit = code >> shift & 1
            follower = point.bits[bit]
            if not isinstance(follower, Point):
                read = length - shift
                ones = code >> shift == (1 << read) - 1
                point.bits[bit] = follower = Point(ends=ones and read < 8)
            point = follower
        point.bits[code & 1] = symbol
    return root


ROOT = _tree()


def decode(data: bytes) -> bytes:
    """Return what `data` spells; raises NotHuffman."""
    point = ROOT
    parts: list[bytes] = []
    spell = parts.append
    for byte in data:
        point, spelled = point[byte]
        spell(spelled)
    if not point.ends:
        raise NotHuffman("a string ends within a symbol")
    return b"".join(parts)


def encode(data: bytes) -> bytes:
    """Return the code of `data`; for short strings, as the effort is quadratic."""
    bits = count = 0
    for byte in data:
        code, length = CODES[byte]
        bits = bits << length | code
        count += length
    padding = -count % 8
    bits = bits << padding | (1 << padding) - 1
    return bits.to_bytes((count + padding) // 8, "big")
