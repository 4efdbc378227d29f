"""The file /etc/hosts: names that no DNS server need know."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from pathlib import Path

HOSTS = Path("/etc/hosts")


def listed(name: str, path: Path | None = None) -> list[str]:
    """Return the addresses of a name, in their order; none where it is not listed.

    Those that are valid on one network interface only, such as `fe80::1%eth0`, are left out.
    """
    wanted = name.lower().rstrip(".")
    found = []
    for line in _lines(path or HOSTS):
        address, *names = line.partition("#")[0].split() or [""]
        if wanted in map(str.lower, names) and "%" not in address:
            with suppress(ValueError):
                found.append(str(ipaddress.ip_address(address)))
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
