"""Which log lines say that a script has heard of its end, so that its reaction can be dated."""

from __future__ import annotations

import re

_SPEAKS = re.compile(
    r"sig(term|kill)\b|(received|caught|got|handl\w+) (a )?signal|signal (15|received|caught)"
    r"|terminat|preempt|interrupt|shut(ting)?[ -]?down|grace(ful|\b)|spot.{0,20}notice|forcefully"
    r"|(asked|told|request\w*) to (stop|exit|leave|quit)|\b(stopping|exiting|leaving)\b",
    re.IGNORECASE,
)


def speaks_of_the_end(line: str) -> bool:
    """Whether a line tells of a signal, a notice or of leaving; a hint that dates a reaction, and convicts nobody."""
    return _SPEAKS.search(line) is not None


class LinesToKeep:
    """Chooses the log lines that go on the timeline after a script was told: the first `most` of any kind, and as many
    more that speak of the end. Lines that gave a metric are there already, and a script that prints a thousand lines a
    second must not fill the timeline."""

    def __init__(self, most: int = 20) -> None:
        self._any, self._speaking = most, most

    def keeps(self, line: str, on_timeline: bool = False) -> bool:
        """Whether this line is kept; each call counts. `on_timeline`: its text is there already, as a metric's."""
        if self._any > 0 and not on_timeline:
            self._any -= 1
            return True
        if self._speaking > 0 and speaks_of_the_end(line):
            self._speaking -= 1
            return True
        return False
