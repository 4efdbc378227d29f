"""Where a socket listens or connects: a literal IPv4 or IPv6 address with port, or a Unix path."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

LONGEST_PATH = 107  # bytes: sun_path has 108, with the terminating NUL
EXPECTED = 'an address such as 127.0.0.1:80, "[::1]:80" or unix:/run/app.sock'


@attrs.frozen
class Address:
    """One of `host` with `port`, or `path`; a path that starts with `@` is an abstract name."""

    family: socket.AddressFamily
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host:port`, `[host]:port` or `unix:path`; raises ValueError with the reason."""
        if text.startswith("unix:"):
            return cls._unix(text.removeprefix("unix:"))
        host, colon, digits = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            family, host = socket.AF_INET6, host[1:-1]
        elif colon and ":" not in host:
            family = socket.AF_INET
        else:
            raise ValueError(f"expected {EXPECTED}, found {text!r}")
        return cls(family, _literal(family, host), _port(digits))

    @classmethod
    def _unix(cls, path: str) -> Self:
        size = len(path.encode())
        if not path.strip("@") or "\0" in path:
            raise ValueError("expected a path after unix:")
        if size > LONGEST_PATH:
            raise ValueError(f"a socket path of {size} bytes; at most {LONGEST_PATH} are possible")
        return cls(socket.AF_UNIX, path=path)

    def under(self, directory: Path) -> Address:
        """Return this address, a relative path taken as relative to `directory`."""
        if not self.path or self.path.startswith(("/", "@")):
            return self
        return Address._unix(str(directory / self.path))

    def __str__(self) -> str:
        if self.family == socket.AF_UNIX:
            return f"unix:{self.path}"
        if self.family == socket.AF_INET6:
            return f"[{self.host}]:{self.port}"
        return f"{self.host}:{self.port}"

    @property
    def sockaddr(self) -> tuple[str, int] | str:
        """What `socket.bind` and `socket.connect` take."""
        if self.family != socket.AF_UNIX:
            return self.host, self.port
        return f"\0{self.path[1:]}" if self.path.startswith("@") else self.path

    @property
    def free(self) -> bool:
        """Whether this stands for any free port, so that two such addresses are not the same."""
        return not self.path and self.port == 0

    @property
    def structured(self) -> dict[str, object]:
        """The address as Envoy writes it in JSON."""
        if self.path:
            return {"pipe": {"path": self.path}}
        return {"socket_address": {"address": self.host, "port_value": self.port}}

    @property
    def stat_name(self) -> str:
        """The name in statistics: `127.0.0.1_80`, `[__1]_80`, or the path."""
        return self.path or str(self).replace(":", "_")


def _literal(family: socket.AddressFamily, host: str) -> str:
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, host))
    except (OSError, ValueError):
        version = "IPv6" if family == socket.AF_INET6 else "IPv4"
        guess = " (did you mean 127.0.0.1?)" if host == "localhost" else ""
        raise ValueError(
            f"{host!r} is not a literal {version} address; only `discovery` looks names up{guess}"
        ) from None


def _port(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and int(digits) <= 65535):
        raise ValueError(f"expected a port from 0 to 65535, found {digits!r}")
    return int(digits)
