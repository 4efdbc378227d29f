"""The endpoints `/generations` and `/live`: who serves, who leaves, and how far that has come."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

import attrs
import trio
from starlette.responses import StreamingResponse

from trioproxy.admin.responses import HEADERS, as_json, text
from trioproxy.config.drain import RUNGS
from trioproxy.config.units import format_span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from starlette.responses import Response

    from trioproxy.admin.instance import Instance
    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View
    from trioproxy.drain.policy import Policy
    from trioproxy.restart.protocol import Listening, Progress

PAUSE = 1.0  # seconds between two events
COLUMNS = ("open", "idle", "told", "moving", "next", "last")
MEANINGS = {
    "open": "connections",
    "idle": "between two requests",
    "told": "told to leave",
    "moving": "about to move to the next generation",
    "next": "until the first has to be gone",
    "last": "until the last has to be gone",
}


async def generations(view: View, query: Query) -> Response:
    """List the generations that serve or leave, with each listener's connections."""
    found = await view.instance.generations()
    if query.get("format") == "json":
        policies = {name: described(policy) for name, policy in drains(view.instance)}
        return as_json({"generations": [attrs.asdict(each) for each in found], "drain": policies})
    lines = [f"{'':24}" + "".join(f"{column:>8}" for column in COLUMNS)]
    for each in found:
        lines.append(f"epoch {each.epoch} {each.phase}")
        for listener in each.listeners:
            cells = "".join(f"{cell:>8}" for cell in cells_of(listener))
            lines.append(f"  {listener.name:<22}{cells}")
    return text("\n".join(lines) + "\n")


def live(view: View, query: Query) -> Response:
    """Send that as a piece of the page, again and again (server-sent events)."""
    return StreamingResponse(events(view.instance), 200, HEADERS, "text/event-stream")


async def events(instance: Instance) -> AsyncGenerator[str]:
    """Yield an event a second."""
    while True:
        yield f"data: {json.dumps(fragment(await instance.generations()))}\n\n"
        await trio.sleep(PAUSE)


def fragment(found: Sequence[Progress]) -> str:
    """Return the table of all generations as HTML."""
    head = "".join(f'<th title="{MEANINGS[column]}">{column}</th>' for column in COLUMNS)
    rows = "\n".join(row for each in found for row in rows_of(each))
    return f'<div class="scroll"><table>\n<tr><th></th>{head}</tr>\n{rows}\n</table></div>'


def rows_of(generation: Progress) -> Iterator[str]:
    """Yield the rows of one generation: itself, then its listeners."""
    title = escape(f"epoch {generation.epoch}, {generation.phase}")
    yield f'<tr><th colspan="{len(COLUMNS) + 1}">{title}</th></tr>'
    for listener in generation.listeners:
        cells = "".join(f"<td>{cell}</td>" for cell in cells_of(listener))
        yield f"<tr><td>{escape(listener.name)}</td>{cells}</tr>"


def cells_of(listener: Listening) -> Iterator[str]:
    """Yield what stands in each column."""
    for column in COLUMNS:
        value = getattr(listener, column)
        if value is None:
            yield "-"
        else:
            yield f"{value:.0f} s" if column in {"next", "last"} else f"{value:,}"


def drains(instance: Instance) -> Iterator[tuple[str, Policy]]:
    """Yield how the connections of each listener leave, all scales taken into account."""
    for listener in instance.config.listeners:
        yield listener.name, listener.policy(instance.config.drain)


def described(policy: Policy) -> dict[str, object]:
    """Write a policy as a configuration would."""
    spans = {name: format_span(getattr(policy, name)) for name in RUNGS}
    quiet = None if policy.quiet is None else f"{policy.quiet:g}s"
    most = policy.max_per_second
    return {**spans, "quiet": quiet, "hand_over": policy.hand_over, "max_per_second": most}
