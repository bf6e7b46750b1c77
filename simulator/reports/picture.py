"""A picture of a run, for the README: what the terminal showed, as an SVG that needs no fonts from anywhere.

python -m simulator.reports.picture RUN_FOLDER OUT.svg
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from simulator.core.errors import SimulatorError
from simulator.reports.folder import FinishedRun, read_run
from simulator.reports.plain import PlainLines
from simulator.reports.summary import summary

WIDTH = 110


def _colours(names: str) -> list[tuple[int, int, int]]:
    return [(int(name[:2], 16), int(name[2:4], 16), int(name[4:], 16)) for name in names.split()]


_THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    _colours("484f58 ff7b72 3fb950 d29922 58a6ff bc8cff 39c5cf b1bac4"),
    _colours("6e7681 ffa198 56d364 e3b341 79c0ff d2a8ff 56d4dd f0f6fc"),
)

_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's own template without its fonts, which it would fetch from the network."""


def timeline_svg(run: FinishedRun, title: str = "spot-simulator run") -> str:
    """What was told of a run while it went on, and its summary, as a terminal shows them."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    lines = io.StringIO()
    told = PlainLines(lines, quiet_logs=True)
    for event in run.timeline:
        told.on_event(event)
        told.tick(event.at)
    console.print(Text(lines.getvalue().rstrip()), style="dim", highlight=False)
    console.print(summary(run.report))
    svg = console.export_svg(title=title, theme=_THEME, code_format=_FORMAT, unique_id="run")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main(arguments: list[str]) -> int:
    """Write the picture of a run's folder."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m simulator.reports.picture RUN_FOLDER OUT.svg\n")
        return 2
    try:
        picture = timeline_svg(read_run(Path(arguments[0])))
    except SimulatorError as error:
        sys.stderr.write(f"error: {error}\n")
        return int(error.exit_code)
    target = Path(arguments[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
