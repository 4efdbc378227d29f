"""PyYAML's composer: from text to its nodes, every scalar left a text, the depth bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from yaml.resolver import BaseResolver

if TYPE_CHECKING:
    from io import StringIO

DEEPEST = 100


class Resolver(BaseResolver):
    """Resolves no scalar; refuses depths at which libyaml's recursion would end the process."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0

    def descend_resolver(self, parent: yaml.Node | None, index: object) -> None:
        """Go into a node; raises MarkedYAMLError where it lies too deep."""
        self.depth += 1
        if self.depth > DEEPEST and parent is not None:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=parent.start_mark)

    def ascend_resolver(self) -> None:
        """Leave a node."""
        self.depth -= 1


try:
    from yaml._yaml import CParser

    class Composer(CParser, Resolver):
        """The composer on libyaml's parser."""

        def __init__(self, stream: StringIO) -> None:
            CParser.__init__(self, stream)
            Resolver.__init__(self)

except ImportError:
    from yaml.composer import Composer as PureComposer
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class Composer(Reader, Scanner, Parser, PureComposer, Resolver):  # type: ignore[no-redef]
        """The same without libyaml, about ten times slower."""

        def __init__(self, stream: StringIO) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)
            PureComposer.__init__(self)
            Resolver.__init__(self)
