"""A line protocol that leaves at a point of its own choice: never within a transaction."""

import trio

from trioproxy.filters.api import Connection, Forward

LONGEST = 64 * 1024


class Ledger:
    """`BEGIN`, some lines, `COMMIT`: a transaction. Between two of them it may say goodbye."""

    async def __call__(self, connection: Connection, _forward: Forward[Connection]) -> None:
        client = Client(connection)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.watch)
            while await client.next_line() == b"BEGIN":
                count = await client.entries()
                await connection.send(b"250 committed %d\r\n" % count)
            if client.leaving:
                await connection.send(b"221 restarting, please come again\r\n")
            nursery.cancel_scope.cancel()


class Client:
    """One client; `leaving` once the proxy drains."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.leaving = False
        self.pending = b""
        self.between = trio.CancelScope()

    async def watch(self) -> None:
        """Wait for the drain to come to this connection; who waits for nothing is told at once."""
        await self.connection.noticed()
        self.leaving = True
        self.between.cancel()

    async def next_line(self) -> bytes:
        """Return the line that begins a transaction; empty where there is none to come."""
        if not self.leaving:
            with trio.CancelScope() as self.between:
                return await self.line()
        return b""

    async def entries(self) -> int:
        """Read a transaction to its end, drain or no drain; returns its number of entries."""
        count = 0
        while await self.line() not in {b"COMMIT", b""}:
            count += 1
        return count

    async def line(self) -> bytes:
        """Return the next line without its end; empty at the end of the stream."""
        while b"\n" not in self.pending and len(self.pending) < LONGEST:
            data = await self.connection.receive()
            if not data:
                return b""
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        return line.strip()
