"""One HTTP/2 connection, either side of it: what both sides share of the state machine.

How its owner drives it:

    connection = ServerConnection(Limits(), codec)        # or ClientConnection
    send(connection.data_to_send())                       # preface and SETTINGS
    for event in connection.receive(data):                # never raises; see ConnectionFailed
        match event:
            case RequestReceived(): start a task
            case DataReceived(): queue; once consumed: acknowledge(stream_id, len(data))
            case WindowOpened(): wake the task that waits to send
            case StreamReset(): cancel the task
    send(connection.data_to_send())                       # after each batch, of events or of sends

Streams are known by their number. `send_*` for a stream that is over (reset meanwhile, by either
side) does nothing and says so by its result: a task that has not heard yet does no harm.
Sending appends to a buffer; whoever awaits the writing of `data_to_send()` has its back-pressure.

Flow control, incoming: the peer may have sent a stream's window and the connection's window before
`acknowledge`, so that is also how much the owner may have to hold. What it never consumes it need
not acknowledge: the end of a stream, in whatever way, gives back what is left to the connection.
Outgoing: `send_data` takes what both windows allow and returns how much; WindowOpened, which comes
in the order in which streams ran into their limit, says that the rest can be tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.codec.h2.codec import Codec
    from trioproxy.codec.h2.events import Event
    from trioproxy.codec.h2.limits import Limits
    from trioproxy.codec.messages import Request, Response
    from trioproxy.headers import Headers


class Connection:
    """What a server's and a client's connection have in common.

    `failed`: an error ended it, received or made; nothing can be done but to write what is left
    and close.
    """

    def __init__(self, limits: Limits, codec: Codec) -> None:
        raise NotImplementedError

    # What comes in

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes in any pieces; returns what they mean, in order."""
        raise NotImplementedError

    def acknowledge(self, stream_id: int, count: int) -> None:
        """Let the peer send `count` more bytes: that much of the stream's body was consumed."""
        raise NotImplementedError

    def relax(self) -> None:
        """Forget the floods counted so far. Called once a second, limits are per second."""
        raise NotImplementedError

    # What goes out

    def data_to_send(self) -> bytes:
        """Return what is to be written, once; empty if there is nothing."""
        raise NotImplementedError

    def send_data(self, stream_id: int, data: bytes, *, ended: bool = False) -> int:
        """Send as much of a body's piece as the windows allow; returns how much that was.

        `ended` ends the stream with the last byte of it. Returns -1 where the stream is over.
        Of several streams that wait, WindowOpened comes first to the one that waited longest.
        """
        raise NotImplementedError

    def send_trailers(self, stream_id: int, trailers: Headers) -> bool:
        """Send the fields behind a body, and end the stream; returns whether it was still there.

        They are not subject to flow control; the body must have been taken in whole before. Raises
        UnsafeMessage.
        """
        raise NotImplementedError

    def window(self, stream_id: int) -> int:
        """Return how many bytes `send_data` would take now; -1 where the stream is over."""
        raise NotImplementedError

    def reset(self, stream_id: int, code: int) -> None:
        """End a stream at once, by RST_STREAM; what the peer still sends on it is dropped."""
        raise NotImplementedError

    def ping(self, payload: bytes) -> None:
        """Send a PING of 8 bytes, answered by PingAnswered."""
        raise NotImplementedError

    # The end of the connection

    def goaway_notice(self) -> None:
        """Say GOAWAY(2^31-1): please open no more streams; those on their way are still served."""
        raise NotImplementedError

    def goaway(self, code: int = 0, debug: bytes = b"") -> None:
        """Say GOAWAY with the last stream that was taken: later ones are dropped from here on.

        Running streams go on; `streams` says when they have ended.
        """
        raise NotImplementedError

    @property
    def streams(self) -> int:
        """How many streams are open, in whatever direction."""
        raise NotImplementedError

    @property
    def settled(self) -> bool:
        """Whether the peer has acknowledged all of our SETTINGS."""
        raise NotImplementedError

    @property
    def goaway_received(self) -> bool:
        """Whether the peer wants no new streams."""
        raise NotImplementedError


class ServerConnection(Connection):
    """A downstream connection: the client opens streams, and each gets a response."""

    def send_response(self, stream_id: int, response: Response, *, ended: bool = False) -> bool:
        """Send a response head, or an interim one (1xx); returns whether the stream still was.

        `ended`: there is no body. A stream that ends before its request did is for the owner to
        `reset` with NO_ERROR. Raises UnsafeMessage, having sent nothing.
        """
        raise NotImplementedError


class ClientConnection(Connection):
    """An upstream connection: `send_request` opens streams."""

    def send_request(self, request: Request, *, ended: bool = False) -> int:
        """Open a stream; returns its number. `ended`: there is no body. Raises UnsafeMessage.

        Only where `can_open`. An extended CONNECT is one with a `request.upgrade`.
        """
        raise NotImplementedError

    @property
    def can_open(self) -> bool:
        """Whether a stream can be opened: room for it, no GOAWAY, numbers left."""
        raise NotImplementedError

    @property
    def max_streams(self) -> int:
        """How many streams the server allows at a time; 100 until it has said."""
        raise NotImplementedError

    @property
    def extended_connect(self) -> bool:
        """Whether the server takes CONNECT with :protocol (RFC 8441)."""
        raise NotImplementedError
