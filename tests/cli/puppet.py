"""A generation that does nothing but what it is told, over the socket that PUPPETEER names.

It says who it is and which signals it gets. It is told `say LINE|LINE` (by sd_notify), `ping`, and
`exit N`. Without a puppeteer it is gone.
"""

import json
import os
import signal
import socket
import sys

strings = socket.socket(socket.AF_UNIX)
strings.connect(os.environ["PUPPETEER"])


def report(*facts: object) -> None:
    strings.sendall(json.dumps(facts).encode() + b"\n")


def say(text: str) -> None:
    name = os.environ["NOTIFY_SOCKET"].replace("@", "\0")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.replace("|", "\n").encode(), name)


for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, lambda number, _: report(signal.Signals(number).name))
report(
    os.getpid(),
    os.getsid(0),
    sys.argv[1:],
    {name: value for name, value in os.environ.items() if name.startswith(("RESTART", "LISTEN"))},
)
for line in strings.makefile():
    verb, _, rest = line.strip().partition(" ")
    if verb == "say":
        say(rest)
    elif verb == "exit":
        os._exit(int(rest))
    report(verb)
