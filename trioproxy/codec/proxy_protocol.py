"""The PROXY protocol's header, versions 1 and 2: whose connection it is, said by who passes it on.

https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

from __future__ import annotations

import re
import socket
from typing import Literal

import attrs

Version = Literal["v1", "v2"]
End = tuple[str, int]
Ends = tuple[End, End]

V1 = b"PROXY "
V1_LONGEST = 107
V2 = b"\r\n\r\n\x00\r\nQUIT\n"
V2_HEAD = 16
V2_LONGEST = 4096
"""Bytes of addresses and whatever else a version 2 header may carry."""
LONGEST = V2_HEAD + V2_LONGEST

LOCAL, PROXY = 0x20, 0x21
STREAMS = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}
FAMILIES = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}
PORT = re.compile(rb"0|[1-9]\d{0,4}")


class MalformedHeader(Exception):
    """What begins like a header is none."""


@attrs.frozen
class Header:
    """A header of `length` bytes; without ends where it speaks of nobody, as for a health check."""

    version: Version
    length: int
    source: End | None = None
    destination: End | None = None


ABSENT = Header("v1", 0)
"""What comes is no header."""


def read_header(data: bytes) -> Header | None:
    """Read the beginning of a connection: ABSENT, None where more has to come.

    Raises MalformedHeader.
    """
    if V2.startswith(data[: len(V2)]):
        return _read_v2(data) if len(data) >= V2_HEAD else None
    if V1.startswith(data[: len(V1)]):
        return _read_v1(data)
    return ABSENT


def _read_v1(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, V1_LONGEST)
    if end < 0:
        if len(data) >= V1_LONGEST:
            raise MalformedHeader("a line without end")
        return None
    length, words = end + 2, data[:end].split(b" ")
    if words[1] == b"UNKNOWN":
        return Header("v1", length)
    if len(words) != 6 or words[1] not in FAMILIES:
        raise MalformedHeader("not PROXY TCP4 or TCP6, two addresses and two ports")
    family = FAMILIES[words[1]]
    hosts, ports = [_host(family, word) for word in words[2:4]], [_port(w) for w in words[4:]]
    return Header("v1", length, (hosts[0], ports[0]), (hosts[1], ports[1]))


def _host(family: socket.AddressFamily, word: bytes) -> str:
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, word.decode("ascii")))
    except (OSError, ValueError):
        raise MalformedHeader("not an address") from None


def _port(word: bytes) -> int:
    if PORT.fullmatch(word) is None or int(word) > 65535:
        raise MalformedHeader("not a port")
    return int(word)


def _read_v2(data: bytes) -> Header | None:
    command, kind = data[12], data[13]
    size = int.from_bytes(data[14:V2_HEAD])
    if command not in (LOCAL, PROXY):
        raise MalformedHeader("neither LOCAL nor PROXY of version 2")
    if size > V2_LONGEST:
        raise MalformedHeader("longer than any header has to be")
    length = V2_HEAD + size
    if len(data) < length:
        return None
    if command == LOCAL or kind not in STREAMS:
        return Header("v2", length)
    family, width = STREAMS[kind]
    if size < 2 * width + 4:
        raise MalformedHeader("too short for its addresses")
    at = V2_HEAD
    hosts = [
        socket.inet_ntop(family, data[at + part * width : at + (part + 1) * width])
        for part in range(2)
    ]
    at += 2 * width
    ports = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4])
    return Header("v2", length, (hosts[0], ports[0]), (hosts[1], ports[1]))


def write_header(version: Version, ends: Ends | None) -> bytes:
    """Write a header of a source and a destination; unsaid where they are not of a kind."""
    if ends is None or (":" in ends[0][0]) != (":" in ends[1][0]):
        return V1 + b"UNKNOWN\r\n" if version == "v1" else V2 + bytes((LOCAL, 0, 0, 0))
    source, destination = ends
    if version == "v1":
        family = "TCP6" if ":" in source[0] else "TCP4"
        line = f"PROXY {family} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n"
        return line.encode()
    kind = 0x21 if ":" in source[0] else 0x11
    family_of, _ = STREAMS[kind]
    hosts = b"".join(socket.inet_pton(family_of, end[0]) for end in ends)
    body = hosts + source[1].to_bytes(2) + destination[1].to_bytes(2)
    return V2 + bytes((PROXY, kind)) + len(body).to_bytes(2) + body
