"""KeyUpdate of TLS 1.3 (RFC 8446 section 4.6.3): the standard library has no word for it."""

from __future__ import annotations

import _ssl
import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

LIBRARY = ctypes.CDLL(_ssl.__file__)  # and with it the libssl that this interpreter uses
LIBRARY.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
LIBRARY.SSL_do_handshake.argtypes = [ctypes.c_void_p]
SSL = object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)  # where `_ssl._SSLSocket` keeps its SSL


def update_keys(tls: ssl.SSLObject, count: int, *, asking: bool) -> None:
    """Have so many records say that new keys are used, `asking` that the peer says so, too."""
    inner = tls._sslobj  # type: ignore[attr-defined]
    pointer = ctypes.c_void_p.from_address(id(inner) + SSL).value
    for _ in range(count):
        assert LIBRARY.SSL_key_update(pointer, int(asking)) == 1
        assert LIBRARY.SSL_do_handshake(pointer) == 1
