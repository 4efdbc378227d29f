"""HPACK's static table, integers and strings (RFC 7541 sections 5.1, 5.2 and appendix A)."""

from __future__ import annotations

from typing import Final

from trioproxy.codec.h2 import huffman

PREDEFINED = b"""\
:authority:
:method: GET
:method: POST
:path: /
:path: /index.html
:scheme: http
:scheme: https
:status: 200
:status: 204
:status: 206
:status: 304
:status: 400
:status: 404
:status: 500
accept-charset:
accept-encoding: gzip, deflate
accept-language:
accept-ranges:
accept:
access-control-allow-origin:
age:
allow:
authorization:
cache-control:
content-disposition:
content-encoding:
content-language:
content-length:
content-location:
content-range:
content-type:
cookie:
date:
etag:
expect:
expires:
from:
host:
if-match:
if-modified-since:
if-none-match:
if-range:
if-unmodified-since:
last-modified:
link:
location:
max-forwards:
proxy-authenticate:
proxy-authorization:
range:
referer:
refresh:
retry-after:
server:
set-cookie:
strict-transport-security:
transfer-encoding:
user-agent:
vary:
via:
www-authenticate:"""


def _parse(line: bytes) -> tuple[bytes, bytes]:
    colon = line.index(b":", 1)
    return line[:colon], line[colon + 2 :]


# The field with index n stands at n - 1.
STATIC = [_parse(line) for line in PREDEFINED.splitlines()]
INDEX_OF = {field: index for index, field in enumerate(STATIC, start=1)}
# Of fields with the same name the first.
INDEX_OF_NAME = {name: index for (name, _), index in reversed(INDEX_OF.items())}
FIRST_DYNAMIC: Final = 62
OVERHEAD: Final = 32  # bytes that count for each field beside its own (section 4.1)

LENGTHS = [bytes([length]) for length in range(0x7F)]  # that a byte has room for


def write_integer(value: int, prefix_bits: int, flags: int) -> bytes:
    """Write `value` into the low `prefix_bits` of a byte that begins with `flags`, and behind."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([flags | value])
    written = bytearray([flags | limit])
    value -= limit
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def write_string(data: bytes) -> bytes:
    """Write a string literal as it is."""
    size = len(data)
    return (LENGTHS[size] if size < 0x7F else write_integer(size, 7, 0)) + data


def write_compressed(data: bytes) -> bytes:
    """Write a short string literal in the Huffman code if that is shorter."""
    coded = huffman.encode(data)
    if len(coded) < len(data):
        return write_integer(len(coded), 7, 0x80) + coded
    return write_string(data)
