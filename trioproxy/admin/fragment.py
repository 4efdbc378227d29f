"""The part of the page that is live: generations, their connections, and starts, as HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

import attrs

from trioproxy.admin.words import due, duration, left, open_of, sentence, size, why

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trioproxy.restart.protocol import Attempt, Listening, Progress, Speaking, Standing

COLUMNS = ("open", "idle", "told", "moving", "next", "last")
MEANINGS = {
    "open": "connections",
    "idle": "between two requests",
    "told": "told to leave",
    "moving": "about to move to the next generation",
    "next": "until the first has to be gone",
    "last": "until the last has to be gone",
}
RUNGS = ("move", "notice", "idle", "stream", "life")
CELLS = ("age", "rung", "gone in", "received", "sent")


def fragment(found: Sequence[Progress], history: Sequence[Attempt]) -> str:
    """Return all of it; generations stand side by side where there is room."""
    cards = "\n".join(map(card, found))
    tables = "\n".join(connections(each) for each in found if each.connections)
    return f'<div class="cards">\n{cards}\n</div>\n{starts(history)}\n{tables}'


def card(generation: Progress) -> str:
    """Return one generation: how far its drain is, who is last, and its listeners."""
    title = escape(f"epoch {generation.epoch}, {generation.phase}")
    head = "".join(f'<th title="{MEANINGS[column]}">{column}</th>' for column in COLUMNS)
    rows = (row for listener in generation.listeners for row in rows_of(listener))
    table = scroll(f"<th></th>{head}", rows)
    return f"<section>\n<h3>{title}</h3>\n{drain(generation)}{table}\n</section>"


def drain(generation: Progress) -> str:
    """Return the progress of a drain; nothing where there is none."""
    if generation.begun_with is None:
        return ""
    count = open_of(generation)
    whole = max(generation.begun_with, count)
    bar = f'<progress max="{max(whole, 1)}" value="{whole - count}"></progress>'
    last = (f"<p>last: {escape(sentence(each))}</p>\n" for each in generation.connections[:1])
    return f"<p>{bar}{escape(left(generation))}</p>\n{''.join(last)}"


def rows_of(listener: Listening) -> Iterator[str]:
    """Yield the rows of a listener: itself, then its protocols."""
    cells = "".join(f"<td>{cell}</td>" for cell in cells_of(listener))
    yield f"<td>{escape(listener.name)}</td>{cells}"
    for speaking in listener.protocols:
        name, where = escape(speaking.protocol), escape(rungs(speaking))
        yield (
            f'<td class="of">{name}</td><td>{total(speaking):,}</td>'
            f'<td class="of" colspan="{len(COLUMNS) - 1}">{where}</td>'
        )


def cells_of(listener: Listening) -> Iterator[str]:
    """Yield what stands in each column."""
    for column in COLUMNS:
        value = getattr(listener, column)
        if value is None:
            yield "-"
        else:
            yield f"{value:,.0f} s" if column in {"next", "last"} else f"{value:,}"


def total(speaking: Speaking) -> int:
    """Return how many connections speak a protocol."""
    counts = (speaking.move, speaking.notice, speaking.idle, speaking.stream, speaking.life)
    return speaking.stay + sum(counts)


def rungs(speaking: Speaking) -> str:
    """Say how many of them come to what next."""
    counts = attrs.asdict(speaking)
    return ", ".join(f"{rung} {counts[rung]:,}" for rung in RUNGS if counts[rung])


def connections(generation: Progress) -> str:
    """Return the table of those connections of a generation that are told of one by one."""
    count, shown = open_of(generation), len(generation.connections)
    which = "" if shown >= count else f", {shown} of {count:,}: who leaves last, or is oldest"
    head = "".join(f"<th>{name}</th>" for name in ("", *CELLS, ""))
    rows = (connection(generation.epoch, each) for each in generation.connections)
    title = escape(f"Connections of epoch {generation.epoch}{which}")
    return f"<h3>{title}</h3>\n{scroll(head, rows, 'each')}"


def connection(epoch: int, standing: Standing) -> str:
    """Return the cells of one connection, with the button that closes it."""
    peer = escape(standing.peer or "a Unix socket")
    what = escape(f"{standing.listener}, {standing.protocol}: {why(standing)}")
    cells = (
        duration(standing.age),
        standing.rung,
        due(standing),
        size(standing.received),
        size(standing.sent),
    )
    action = f"/connections/close?id={epoch}.{standing.worker}.{standing.number}"
    form = f'<form method="post" action="{action}"><button>close</button></form>'
    told = "".join(
        f'<td title="{name}">{escape(cell)}</td>' for name, cell in zip(CELLS, cells, strict=True)
    )
    return f"<td>{peer}<small>{what}</small></td>{told}<td>{form}</td>"


def starts(history: Sequence[Attempt]) -> str:
    """Return the table of starts, the latest first."""
    head = "<th></th><th>epoch</th><th>took</th>"
    rows = (
        f"<td>{escape(each.outcome)}<small>{moment(each.at)}</small></td>"
        f"<td>{each.epoch}</td><td>{each.seconds:.2f} s</td>"
        for each in reversed(history)
    )
    return f"<h3>Starts</h3>\n{scroll(head, rows)}"


def moment(at: float) -> str:
    """Say a Unix time as date and time."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def scroll(head: str, rows: Iterable[str], kind: str = "") -> str:
    """Return a table that a narrow screen scrolls by itself; a row is its cells.

    Of the kind `each`, a narrow screen shows the cells of a row below each other.
    """
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="scroll {kind}"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'
