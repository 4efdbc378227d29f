"""How times, sizes and connections are said to people, on the page and on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.restart.protocol import Progress, Standing

STANDS = {
    "idle": "waits for a request",
    "stream": "in an exchange",
    "streams": "in exchanges",
    "flow": "bytes flow",
    "life": "with its filter",
}
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
TOLD = {"stay": "", "move": ", about to move", "notice": ", not told to leave yet"}


def duration(seconds: float) -> str:
    """Say a time by its two largest units."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


def size(count: int | None) -> str:
    """Say how many bytes that is; nothing where nobody counts."""
    if count is None:
        return "-"
    power = max(count.bit_length() - 1, 0) // 10
    return f"{count / 1024**power:.{1 if power else 0}f} {UNITS[power]}"


def why(standing: Standing) -> str:
    """Say why a connection is still there; a generation of another version may know other words."""
    return STANDS.get(standing.stands, standing.stands) + TOLD.get(standing.rung, ", told to leave")


def due(standing: Standing) -> str:
    """Say in what time it has to be gone."""
    return "-" if standing.due is None else duration(standing.due)


def sentence(standing: Standing) -> str:
    """Say all of that, and whose connection it is."""
    end = "" if standing.due is None else f", gone in {due(standing)} at the latest"
    whose = f"{standing.peer or 'a Unix socket'} at {standing.listener}, {standing.protocol}"
    return f"{whose}, for {duration(standing.age)}: {why(standing)}{end}"


def left(generation: Progress) -> str:
    """Say how many connections are still to leave, and when; nothing where none has to."""
    if generation.begun_with is None:
        return ""
    count = open_of(generation)
    said = [f"{count:,} of {max(generation.begun_with, count):,} left"]
    following = [each.next for each in generation.listeners if each.next is not None]
    last = [each.last for each in generation.listeners if each.last is not None]
    if generation.moved or generation.declined:
        said += [f"{generation.moved:,} moved, {generation.declined:,} declined"]
    said += [f"next in {duration(min(following))}"] if following else []
    said += [f"last in {duration(max(last))}"] if last else []
    return ", ".join(said)


def open_of(generation: Progress) -> int:
    """Return how many connections it has."""
    return sum(listener.open for listener in generation.listeners)
