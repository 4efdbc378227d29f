"""How the connections of a filter leave when another generation takes over."""

from typing import Annotated, ClassVar

import attrs


@attrs.frozen
class FilterDrain:
    """What a filter does differently from the server's `drain`."""

    later: ClassVar[tuple[str, ...]] = ("notice", "idle", "stream", "life", "quiet")

    hand_over: Annotated[
        bool, "Give connections that can move to the next generation instead of ending them"
    ] = True


AS_THE_SERVER = FilterDrain()
