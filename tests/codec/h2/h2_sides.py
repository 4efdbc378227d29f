"""The two ends of a connection, played by this project's codec or by hyper-h2, alike to drive."""

from __future__ import annotations

from typing import Protocol

import attrs
import h2.config
import h2.connection
import h2.events
import h2.settings

from trioproxy.codec.h2.client import ClientConnection
from trioproxy.codec.h2.codec import Codec
from trioproxy.codec.h2.events import (
    ConnectionFailed,
    DataReceived,
    Event,
    RequestReceived,
    RequestRejected,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
)
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.h2.server import ServerConnection
from trioproxy.codec.messages import Request, Response
from trioproxy.headers import Field, Headers


@attrs.define
class Message:
    """One way of an exchange: a request (`start` is its path) or a response (its status)."""

    start: str
    fields: list[Field]
    body: bytes = b""
    trailers: list[Field] = attrs.field(factory=list)
    ended: bool = False


class Side(Protocol):
    """One end: what it received, by stream, and what it still has to send."""

    received: dict[int, Message]

    def receive(self, data: bytes) -> None: ...
    def take(self) -> bytes: ...
    def begin(self, stream_id: int, message: Message) -> None: ...
    def push(self) -> None: ...


@attrs.define
class Ours:
    """This project's codec."""

    connection: ServerConnection | ClientConnection
    received: dict[int, Message] = attrs.field(factory=dict)
    sending: dict[int, Message] = attrs.field(factory=dict)

    def receive(self, data: bytes) -> None:
        for event in self.connection.receive(data):
            self.hear(event)

    def hear(self, event: Event) -> None:
        assert not isinstance(event, ConnectionFailed | StreamReset | RequestRejected), event.detail
        stream_id = event.stream_id
        if isinstance(event, RequestReceived):
            request = event.request
            assert (request.method, request.authority) == ("POST", "example.org")
            message = Message(request.path, request.headers.fields, ended=event.ended)
            self.received[stream_id] = message
        elif isinstance(event, ResponseReceived):
            response = event.response
            message = Message(str(response.status), response.headers.fields, ended=event.ended)
            self.received[stream_id] = message
        elif isinstance(event, DataReceived):
            self.received[stream_id].body += event.data
            self.received[stream_id].ended = event.ended
            self.connection.acknowledge(stream_id, len(event.data))
        elif isinstance(event, TrailersReceived):
            self.received[stream_id].trailers = event.trailers.fields
            self.received[stream_id].ended = True

    def take(self) -> bytes:
        return self.connection.data_to_send()

    def begin(self, stream_id: int, message: Message) -> None:
        ended = not message.body and not message.trailers
        sent = Headers(message.fields.copy())
        if isinstance(self.connection, ClientConnection):
            request = Request(method="POST", path=message.start, authority="example.org")
            request.headers = sent
            assert self.connection.send_request(request, ended=ended) == stream_id
        else:
            response = Response(status=int(message.start), headers=sent)
            self.connection.send_response(stream_id, response, ended=ended)
        if not ended:
            self.sending[stream_id] = attrs.evolve(message)

    def push(self) -> None:
        for stream_id, message in list(self.sending.items()):
            last = not message.trailers
            count = self.connection.send_data(stream_id, message.body, ended=last)
            message.body = message.body[max(count, 0) :]
            if message.body:
                continue
            del self.sending[stream_id]
            if not last:
                self.connection.send_trailers(stream_id, Headers(message.trailers))


@attrs.define
class Hyper:
    """hyper-h2."""

    connection: h2.connection.H2Connection
    received: dict[int, Message] = attrs.field(factory=dict)
    sending: dict[int, Message] = attrs.field(factory=dict)

    def receive(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            self.hear(event)

    def hear(self, event: h2.events.Event) -> None:
        assert not isinstance(event, h2.events.ConnectionTerminated | h2.events.StreamReset)
        if isinstance(event, h2.events.RequestReceived | h2.events.ResponseReceived):
            fields = dict(event.headers)
            start = fields.get(b":path") or fields[b":status"]
            plain = [(n, v) for n, v in event.headers if n[:1] != b":"]
            self.received[event.stream_id] = Message(start.decode(), plain)
        elif isinstance(event, h2.events.DataReceived):
            self.received[event.stream_id].body += event.data
            size = event.flow_controlled_length
            if size:
                self.connection.acknowledge_received_data(size, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.received[event.stream_id].trailers = [tuple(field) for field in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            self.received[event.stream_id].ended = True

    def take(self) -> bytes:
        return self.connection.data_to_send()

    def begin(self, stream_id: int, message: Message) -> None:
        ended = not message.body and not message.trailers
        if self.connection.config.client_side:
            start = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"example.org")]
            start.append((b":path", message.start.encode()))
        else:
            start = [(b":status", message.start.encode())]
        self.connection.send_headers(stream_id, start + message.fields, end_stream=ended)
        if not ended:
            self.sending[stream_id] = attrs.evolve(message)

    def push(self) -> None:
        for stream_id, message in list(self.sending.items()):
            while message.body:
                size = min(
                    self.connection.local_flow_control_window(stream_id),
                    self.connection.max_outbound_frame_size,
                    len(message.body),
                )
                if size <= 0:
                    break
                padding = 5 if size > 20 else None
                size -= 6 if padding else 0
                self.connection.send_data(stream_id, message.body[:size], pad_length=padding)
                message.body = message.body[size:]
            if not message.body:
                self.end(stream_id, message)

    def end(self, stream_id: int, message: Message) -> None:
        del self.sending[stream_id]
        if message.trailers:
            self.connection.send_headers(stream_id, message.trailers, end_stream=True)
        else:
            self.connection.end_stream(stream_id)


def our_server(window: int) -> Ours:
    return Ours(ServerConnection(Limits(stream_window=window, max_empty_frames=10**6), Codec()))


def our_client(window: int) -> Ours:
    return Ours(ClientConnection(Limits(stream_window=window, max_empty_frames=10**6), Codec()))


def hyper(window: int, *, client: bool) -> Hyper:
    config = h2.config.H2Configuration(client_side=client, header_encoding=None)
    connection = h2.connection.H2Connection(config)
    values = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
    connection.local_settings = h2.settings.Settings(client=client, initial_values=values)
    connection.initiate_connection()
    return Hyper(connection)
