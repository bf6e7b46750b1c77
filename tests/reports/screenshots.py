"""The screenshots in docs/images, made anew from a run or a search: make screenshots RUN=FOLDER"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from browser import browser  # run as a script, this one's folder is where modules are looked for
from PIL import Image

SHOTS = {  # name → width, scheme, height
    "report-light.png": (1100, "light", 1560),
    "report-dark.png": (1100, "dark", 1560),
    "report-phone.png": (360, "light", 1800),
}
SHOTS_OF_A_SEARCH = {"search.png": (1100, "light", 1500)}
COLOURS = 240  # of the palette; keeps each below 200 kB


def main(arguments: list[str]) -> int:
    run = Path(arguments[0])
    out = Path(arguments[1]) if len(arguments) > 1 else Path("docs/images")
    explored = json.loads((run / "report.json").read_text())["explored"]
    with browser() as page:
        for name, (width, scheme, height) in (SHOTS_OF_A_SEARCH if explored else SHOTS).items():
            page.open(run / "report.html", width, scheme)
            shot = Image.open(io.BytesIO(page.picture(height))).convert("RGB")
            shot.quantize(COLOURS, dither=Image.Dither.NONE).save(out / name, optimize=True)
            print(f"{out / name}  {(out / name).stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
