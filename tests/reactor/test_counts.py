from __future__ import annotations

import socket

from trioproxy.reactor.counts import bytes_of


def test_the_kernel_counts_both_directions() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
        listening.accept()[0] as accepted,
    ):
        client.sendall(b"x" * 1000)
        accepted.sendall(b"y" * 70)
        assert client.recv(70)
        received = bytes_of(accepted)
    assert received == (1000, 70)


def test_of_others_it_does_not() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert bytes_of(one) is None
    assert bytes_of(one) is None
