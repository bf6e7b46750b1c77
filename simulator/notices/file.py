"""The interruption notice as a file in the container: what EC2's instance-action says, written whole or not at all."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from simulator.core.clock import as_iso
from simulator.core.job import NOTICE_PATH


def give_notice(input_config: Path, terminate_at: datetime) -> Path:
    """Write `{"action": "terminate", "time": …}` where NOTICE_PATH shows it to the script; returns the host's path.

    The content is that of /latest/meta-data/spot/instance-action (EC2 user guide, "Spot Instance interruption
    notices"). Raises OSError where it cannot be written.
    """
    target = input_config / Path(NOTICE_PATH).name
    aside = target.with_suffix(".part")
    aside.write_text(json.dumps({"action": "terminate", "time": as_iso(terminate_at)}))
    aside.rename(target)
    return target
