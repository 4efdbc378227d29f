"""What two generations must have in common to hand over to each other."""

from trioproxy.restart.version import PROTOCOL_VERSION
from trioproxy.stats.layout import LAYOUT_VERSION


def hot_restart_version() -> str:
    """Return the versions of the protocol and of the region, such as `1.2`."""
    return f"{PROTOCOL_VERSION}.{LAYOUT_VERSION}"
