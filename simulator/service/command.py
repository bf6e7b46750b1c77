"""`spot-simulator serve` as a command: lines out, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import shutil
import threading

from rich.console import Console

from simulator.app.runtimes import choose_runtime
from simulator.core.errors import ExitCode
from simulator.engine.interrupts import UserInterrupt, orderly_interrupts
from simulator.runtimes.ownership import make_scratch
from simulator.service.environment import set_aside
from simulator.service.place import Doors, Place
from simulator.service.settings import DEFAULT_PORT, ServeSettings


def serve_until_interrupted(settings: ServeSettings, doors: Doors) -> None:
    """Serve; ends with SystemExit. Raises UsageError and EnvironmentFailure."""
    set_aside(os.environ)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    folder = make_scratch("serve")
    try:
        with orderly_interrupts():
            place = Place(settings, doors, choose_runtime(settings.runtime, console.print), folder, console.print)
            try:
                with place, place.published() as port:
                    option = "" if port == DEFAULT_PORT else f" --port {port}"
                    console.print(f"listening on {place.server.endpoint_url}")
                    console.print(
                        f"  AWS_ENDPOINT_URL={place.server.endpoint_url}   # enough for boto3 and the AWS CLI"
                    )
                    console.print(
                        f'  eval "$(spot-simulator env{option})"   # for SageMaker\'s SDK as well: the proxy too'
                    )
                    threading.Event().wait()
            except UserInterrupt:
                console.print("the jobs that ran are ended")
                raise SystemExit(ExitCode.SURVIVED) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
