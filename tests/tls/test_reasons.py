"""What went wrong, for people."""

from __future__ import annotations

import ssl

import pytest

from trioproxy.tls.reasons import reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "connection reset by peer"),
        (OSError("odd"), "odd"),
        (ssl.SSLError(1, "[SSL] odd"), "[ssl] odd"),
    ],
)
def test_reason(error: OSError, said: str) -> None:
    assert reason(error) == said


def test_openssls_own_words() -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_bio(
        incoming := ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True
    )
    incoming.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ssl.SSLError) as caught:
        server.do_handshake()
    assert reason(caught.value) == "http request"
