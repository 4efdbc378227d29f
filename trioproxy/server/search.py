"""Finding the parent, at the control socket where whoever serves answers."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from trioproxy.server.place import StartFailed

if TYPE_CHECKING:
    from trioproxy.config.address import Address
    from trioproxy.config.options import Options

log = logging.getLogger("trioproxy.main")

SEARCH = 5.0  # seconds to look for a parent that may be about to start
SEARCH_AGAIN = 0.1  # nobody tells when a name appears


async def search(options: Options) -> socket.socket | None:
    """Connect to the parent; None where none is needed. Raises StartFailed."""
    needed = options.restart_epoch != "auto" and not options.skip_hot_restart_on_no_parent
    address = options.control_address(options.base_id)
    log.info("looking for a parent at %s", address)
    with trio.move_on_after(SEARCH):
        while True:
            with suppress(BlockingIOError):  # its queue is full: it is there
                sock = connect(address)
                if sock is not None:
                    return sock
                if not needed:
                    log.info("no parent at %s: starting without one", address)
                    return None
            await trio.sleep(SEARCH_AGAIN)
    raise StartFailed(
        f"no parent found at {address} in {SEARCH:g} s:"
        f" is epoch {options.restart_epoch} right? see --base-id, --socket-path"
        " and --skip-hot-restart-on-no-parent"
    )


def connect(address: Address) -> socket.socket | None:
    """Connect to a control socket, if somebody is there.

    Raises StartFailed if we may not, and BlockingIOError if too many others wait there.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.setblocking(False)
        sock.connect(address.sockaddr)
    except (ConnectionRefusedError, FileNotFoundError):
        sock.close()
        return None
    except BlockingIOError:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise StartFailed(f"cannot connect to {address}: {error.strerror}") from error
    return sock
