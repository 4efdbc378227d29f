"""The command `trioproxy`."""

from __future__ import annotations

from trioproxy import __version__


def main() -> int:
    """Run the command line; returns the exit status."""
    print(f"trioproxy {__version__}")
    return 0
