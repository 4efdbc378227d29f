"""The endpoints `/generations` and `/live`: who serves, who leaves, and how far that has come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import trio
from starlette.responses import StreamingResponse

from trioproxy.admin.fragment import COLUMNS, cells_of, fragment, moment, rungs, total
from trioproxy.admin.responses import HEADERS, as_json, text
from trioproxy.admin.words import left, sentence
from trioproxy.config.drain import RUNGS
from trioproxy.config.units import format_span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from starlette.responses import Response

    from trioproxy.admin.instance import Instance
    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View
    from trioproxy.drain.policy import Policy
    from trioproxy.restart.protocol import Attempt, Progress

PAUSE = 1.0  # seconds between two events
LAST = 3  # of the connections that leave last, so many are told of in the text


async def generations(view: View, query: Query) -> Response:
    """List the generations that serve or leave, with each listener's connections."""
    found, history = await view.instance.generations(), view.instance.history
    if query.get("format") == "json":
        policies = {name: described(policy) for name, policy in drains(view.instance)}
        return as_json(
            {
                "generations": [in_json(each) for each in found],
                "drain": policies,
                "history": [attrs.asdict(attempt) for attempt in history],
            }
        )
    lines = [f"{'':24}" + "".join(f"{column:>8}" for column in COLUMNS)]
    lines += [line for each in found for line in lines_of(each)]
    lines += ["starts", *(f"  {line_of(attempt)}" for attempt in history)]
    return text("\n".join(lines) + "\n")


def in_json(generation: Progress) -> dict[str, object]:
    """Return what is known of a generation, with each connection's id and in words."""
    connections = [
        {
            "id": f"{generation.epoch}.{each.worker}.{each.number}",
            **attrs.asdict(each),
            "words": sentence(each),
        }
        for each in generation.connections
    ]
    return {**attrs.asdict(generation), "left": left(generation), "connections": connections}


def lines_of(generation: Progress) -> Iterator[str]:
    """Yield the lines of one generation: itself, its listeners, and who leaves last."""
    yield f"epoch {generation.epoch} {generation.phase}"
    if leaving := left(generation):
        yield f"  {leaving}"
    for listener in generation.listeners:
        yield f"  {listener.name:<22}" + "".join(f"{cell:>8}" for cell in cells_of(listener))
        for speaking in listener.protocols:
            yield f"    {speaking.protocol:<20}{total(speaking):>8,}  {rungs(speaking)}".rstrip()
    if leaving:
        yield from (f"  last: {sentence(each)}" for each in generation.connections[:LAST])


def line_of(attempt: Attempt) -> str:
    """Say what became of a start."""
    when, seconds = moment(attempt.at), f"{attempt.seconds:.2f} s"
    return f"{when}  epoch {attempt.epoch:<5}{seconds:>9}  {attempt.outcome}"


def live(view: View, query: Query) -> Response:
    """Send that as a piece of the page, again and again (server-sent events)."""
    return StreamingResponse(events(view.instance), 200, HEADERS, "text/event-stream")


async def events(instance: Instance) -> AsyncGenerator[str]:
    """Yield an event a second."""
    while True:
        piece = fragment(await instance.generations(), instance.history)
        yield f"data: {json.dumps(piece)}\n\n"
        await trio.sleep(PAUSE)


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
