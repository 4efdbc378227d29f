"""A proxy within a test: real sockets on free ports of loopback, and the test's own clock.

    async def test_a_session_outlives_a_restart(autojump_clock):
        async with open_upstream(echo) as port, open_proxy(CONFIG, {"app": port}) as proxy:
            client = await proxy.connect()
            old = await proxy.restart()
            await old.gone.wait()
            await client.send_all(b"still here?")

A generation is a worker's whole data plane, in the test's own process. What its main process does
around it is not there: command line, signals, admin interface.

On loopback the kernel delivers at once. So a clock that jumps as soon as every task waits does not
jump over bytes that are under way, as long as whoever speaks is in this process, too.
"""

from trioproxy.testing.generation import Generation
from trioproxy.testing.proxy import Proxy, open_proxy
from trioproxy.testing.upstream import open_upstream

__all__ = ["Generation", "Proxy", "open_proxy", "open_upstream"]
