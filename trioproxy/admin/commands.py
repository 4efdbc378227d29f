"""The endpoints that change something: health, drain, logs, counters, the end."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from starlette.background import BackgroundTask

from trioproxy.admin.query import BadQuery
from trioproxy.admin.responses import ok

if TYPE_CHECKING:
    from starlette.responses import Response

    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View

log = logging.getLogger("trioproxy.admin")


async def fail_health(view: View, query: Query) -> Response:
    """Answer 503 to whoever asks for health, from now on."""
    log.info("health is failed by request")
    await view.instance.fail_health()
    return ok()


async def restore_health(view: View, query: Query) -> Response:
    """Be healthy again."""
    log.info("health is restored by request")
    await view.instance.restore_health()
    return ok()


async def drain_listeners(view: View, query: Query) -> Response:
    """Ask connections to leave and let no more in; `inboundonly` is every listener here."""
    graceful, keep_open = "graceful" in query, "skip_exit" in query
    log.info("listeners are drained by request")
    await view.instance.drain_listeners(graceful=graceful, keep_open=keep_open)
    return ok()


async def cancel_drain(view: View, query: Query) -> Response:
    """Undo what `drain_listeners` began; raises BadQuery where that is not what is said."""
    if "cancel" not in query:
        raise BadQuery("expected cancel; to drain, POST to /drain_listeners")
    log.info("the drain is cancelled by request")
    await view.instance.cancel_drain()
    return ok()


async def close_connection(view: View, query: Query) -> Response:
    """Have one connection leave; raises BadQuery where it is not named as it should be."""
    match = re.fullmatch(r"(\d{1,9})\.(\d{1,9})\.(\d{1,15})", query.get("id", ""))
    if match is None:
        raise BadQuery("expected id=epoch.worker.number, as /generations?format=json says")
    log.info("connection %s is closed by request", match[0])
    await view.instance.close_connection(*map(int, match.groups()))
    return ok()


async def reset_counters(view: View, query: Query) -> Response:
    """Have the counters of all processes, also those that are gone, begin at zero again."""
    log.info("counters are reset by request")
    view.instance.region.reset_counters()
    return ok()


async def reopen_logs(view: View, query: Query) -> Response:
    """Open all logs anew by name."""
    log.info("logs are reopened by request")
    await view.instance.reopen_logs()
    return ok()


async def quit_(view: View, query: Query) -> Response:
    """Leave, once whoever asked has the answer."""
    return ok(BackgroundTask(leave, view))


async def leave(view: View) -> None:
    """Have the instance leave."""
    view.instance.ask_to_leave()
