"""`spot-simulator serve` as a command: options in, lines out, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import threading
from pathlib import Path

from rich.console import Console

from simulator.app.runtimes import choose_runtime
from simulator.app.settings import RuntimeChoice
from simulator.core.errors import ExitCode
from simulator.engine.interrupts import UserInterrupt, orderly_interrupts, shielded
from simulator.service.server import Server
from simulator.service.settings import DEFAULT_PORT, ServeSettings, default_plan


def serve_until_interrupted(
    port: int | None = None,
    runtime: str = "auto",
    plan: Path | None = None,
    interrupt: tuple[str, ...] = (),
    profile: str | None = None,
    warning: float | None = None,
    grace: float | None = None,
    restart_delay: float | None = None,
    state_dir: Path | None = None,
    out: Path | None = None,
) -> None:
    """Serve; ends with SystemExit. Raises UsageError and EnvironmentFailure."""
    settings = ServeSettings(
        port=DEFAULT_PORT if port is None else port,
        runtime=RuntimeChoice(runtime),
        default_plan=default_plan(interrupt, profile, warning, grace, restart_delay),
        plan_file=plan,
        state_dir=state_dir,
        runs=out,
    )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with orderly_interrupts():
        server = Server(settings, choose_runtime(settings.runtime, console.print), console.print)
        try:
            server.start()
            console.print(f"listening on {server.endpoint_url}")
            console.print(f"  AWS_ENDPOINT_URL={server.endpoint_url}")
            threading.Event().wait()
        except UserInterrupt:
            console.print("ending the jobs that run")
            raise SystemExit(ExitCode.SURVIVED) from None
        finally:
            with shielded():
                server.close()
