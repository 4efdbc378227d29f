"""Does what Envoy's restarter is documented to do; written anew from that description.

It exports RESTART_EPOCH and executes its first argument, without arguments. SIGHUP starts the next
epoch, SIGUSR1 is passed on, SIGTERM ends all within 30 s, and a child that fails ends everything.
"""

import os
import signal
import sys
import time

children: set[int] = set()
epoch = 0


def start() -> None:
    global epoch
    os.environ["RESTART_EPOCH"] = str(epoch)
    epoch += 1
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execl(sys.argv[1], sys.argv[1])
    children.add(child)


def send(number: int) -> None:
    for child in children:
        os.kill(child, number)


def reap() -> int:
    """Return the worst status of those that are gone."""
    worst = 0
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            break
        children.remove(child)
        worst = worst or status
    return worst


def end() -> int:
    send(signal.SIGTERM)
    for _ in range(30):
        reap()
        if not children:
            return 0
        time.sleep(1)
    send(signal.SIGKILL)
    return 1


def main() -> int:
    numbers = {signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    start()
    while True:
        match signal.sigwait(numbers):
            case signal.SIGHUP:
                start()
            case signal.SIGUSR1:
                send(signal.SIGUSR1)
            case signal.SIGTERM:
                return end()
            case signal.SIGCHLD:
                if reap():
                    send(signal.SIGKILL)
                    return 1
                if not children:
                    return 0


sys.exit(main())
