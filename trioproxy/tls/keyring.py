"""The certificates that one side shows, as contexts, made anew when their files change."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from trioproxy.tls.certificate import Certificate
from trioproxy.tls.contexts import Served, load_pair
from trioproxy.tls.names import by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    Pair = tuple[Path, Path]
    Fingerprint = tuple[tuple[int, int, int], ...]


class Keyring:
    """Contexts made by `make`, one for each set of host names, and the one of the first pair.

    A client has a pair or none. `others` are files that the contexts are made of, too. Raises
    ValueError where one of them will not do.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        make: Callable[[], ssl.SSLContext],
        others: Iterable[Path] = (),
    ) -> None:
        self._pairs = pairs
        self._make = make
        self._files = [*(path for pair in pairs for path in pair), *others]
        self._seen = fingerprint(self._files)
        self.context = self._load()

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(str(certificate) for certificate, _ in self._pairs)}>"

    @property
    def ciphers(self) -> list[str]:
        """The cipher suites that may be agreed on, by OpenSSL's names."""
        return [str(each["name"]) for each in self.context.get_ciphers()]

    def refresh(self) -> bool:
        """Load what has changed; returns whether anything had.

        Raises ValueError where that will not do, once for each change; what was loaded before
        stays in use then.
        """
        seen = fingerprint(self._files)
        if seen == self._seen:
            return False
        self._seen = seen
        self.context = self._load()
        return True

    def _load(self) -> ssl.SSLContext:
        """Return the context of the first pair; it finds the others by name."""
        contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        for certificate, key in self._pairs:
            names = Certificate.read(certificate).dns_names
            # A second one for the same names has a key of another kind: OpenSSL chooses.
            load_pair(contexts.setdefault(names, self._make()), certificate, key)
        if not contexts:
            return self._make()
        first = next(iter(contexts.values()))
        if first.protocol is ssl.PROTOCOL_TLS_SERVER:
            first.sni_callback = chooser(contexts)
        return first


def chooser(
    contexts: Mapping[tuple[str, ...], ssl.SSLContext],
) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
    """Return what has OpenSSL use the context for the name that a client asks for."""
    by_host: dict[str, ssl.SSLContext] = {}
    for names, context in contexts.items():
        for name in names:
            by_host.setdefault(name, context)

    def choose(tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if not name:
            return
        if isinstance(tls, Served):
            tls.server_name = name
        found = by_name(by_host, name)
        if found is not None and found is not context:
            tls.context = found

    return choose


def fingerprint(files: Iterable[Path]) -> Fingerprint:
    """Return what tells one state of these files from another one."""
    return tuple(mark(path) for path in files)


def mark(path: Path) -> tuple[int, int, int]:
    """Return a file's inode, time and size; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_mtime_ns, status.st_size)
