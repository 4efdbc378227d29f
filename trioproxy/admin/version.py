"""What runs here: how it was built, and what two generations must have in common to hand over."""

from trioproxy import headers
from trioproxy.restart.version import PROTOCOL_VERSION
from trioproxy.stats.layout import LAYOUT_VERSION

BUILD = "plain" if headers.__file__.endswith(".py") else "compiled"
"""`plain` Python, or `compiled` ahead of time: one module speaks for all that are."""


def hot_restart_version() -> str:
    """Return the versions of the protocol and of the region, such as `1.2`."""
    return f"{PROTOCOL_VERSION}.{LAYOUT_VERSION}"
