"""What the author of a filter imports, for annotations.

async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None: ...
async def __call__(self, connection: Connection, forward: Forward[Connection]) -> None: ...
"""

from trioproxy.codec.messages import Request, Response
from trioproxy.errors import ProxyError
from trioproxy.filters.bodies import BodyTooLarge
from trioproxy.filters.chain import Forward
from trioproxy.filters.connection import Connection
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.http.tools import HttpTools
from trioproxy.filters.tools import Tools
from trioproxy.headers import Headers

__all__ = [
    "BodyTooLarge",
    "Connection",
    "Exchange",
    "Forward",
    "Headers",
    "HttpTools",
    "ProxyError",
    "Request",
    "Response",
    "Tools",
]
