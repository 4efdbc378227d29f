"""A DNS server on loopback whose records a test may change at any time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import trio

from trioproxy.config.address import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LARGEST_DATAGRAM = 512


@attrs.define(eq=False)
class NameServer:
    """Answers from `records`, lines of a zone file; what it has no record of does not exist.

    `mood` is an rcode to answer with instead, or "deaf"; `failing` are the types of record, and
    the names, that are answered with SERVFAIL. `asked` has each question, `asked_by_tcp` those that
    came that way.
    """

    address: Address
    records: str = ""
    mood: str = ""
    failing: set[str] = attrs.field(factory=set)
    asked: list[str] = attrs.field(factory=list)
    asked_by_tcp: list[str] = attrs.field(factory=list)

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """Return the answer to a query."""
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        question = query.question[0]
        self.asked.append(f"{question.name} {question.rdtype.name}")
        fails = {question.rdtype.name, question.name.to_text()} & self.failing
        mood = "SERVFAIL" if fails else self.mood
        if mood:
            response.set_rcode(dns.rcode.from_text(mood))
            return response
        known = [line.split(maxsplit=3) for line in self.records.strip().splitlines()]
        ours = [each for each in known if each[0] == question.name.to_text()]
        if not ours:
            response.set_rcode(dns.rcode.NXDOMAIN)
        for kind in {each[2] for each in ours} & {question.rdtype.name, "CNAME"}:
            chosen = [each for each in ours if each[2] == kind]
            response.answer.append(
                dns.rrset.from_text_list(
                    question.name, int(chosen[0][1]), "IN", kind, [each[3] for each in chosen]
                )
            )
        return response

    async def serve_datagrams(self, sock: trio.socket.SocketType) -> None:
        """Answer over UDP, until cancelled."""
        while True:
            data, peer = await sock.recvfrom(LARGEST_DATAGRAM)
            if self.mood == "deaf":
                continue
            wire = self.answer(dns.message.from_wire(data)).to_wire(max_size=65535)
            if len(wire) > LARGEST_DATAGRAM:
                cut = dns.message.make_response(dns.message.from_wire(data))
                cut.flags |= dns.flags.TC
                wire = cut.to_wire()
            await sock.sendto(wire, peer)

    async def serve_stream(self, stream: trio.SocketStream) -> None:
        """Answer one question over TCP."""
        async with stream:
            data = b""
            while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
                data += await stream.receive_some()
            query = dns.message.from_wire(data[2:])
            self.asked_by_tcp.append(query.question[0].to_text())
            wire = self.answer(query).to_wire(max_size=65535)
            await stream.send_all(len(wire).to_bytes(2, "big") + wire)


@asynccontextmanager
async def open_name_server(records: str = "") -> AsyncIterator[NameServer]:
    """Serve on a free port of 127.0.0.1."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as datagrams:
            await datagrams.bind(("127.0.0.1", port))
            server = NameServer(Address.parse(f"127.0.0.1:{port}"), records)
            nursery.start_soon(server.serve_datagrams, datagrams)
            nursery.start_soon(trio.serve_listeners, server.serve_stream, listeners)
            yield server
            nursery.cancel_scope.cancel()
