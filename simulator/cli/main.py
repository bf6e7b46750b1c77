"""`spot-simulator`: every command, what it takes, and the exit codes they share."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from simulator.cli.clients import env_command, exec_command, serve
from simulator.cli.explore import explore
from simulator.cli.options import FOLDER, run_options, taken
from simulator.core.errors import ExitCode, SimulatorError

EPILOG = """\b
Exit codes:
  0    the script survives: interrupted, observed, resumed
  1    it does not survive; the findings say why, and how to mend it
  2    the command or its configuration is wrong, or nothing was interrupted or proven
  3    the environment fails: no engine, no image, no S3, no disk
  130  interrupted by you (Ctrl-C or SIGTERM); the partial report is kept
"""


def _version() -> str:
    try:
        return version("spot-interruption-simulator")
    except PackageNotFoundError:
        return "unknown"


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="spot-simulator")
def cli() -> None:
    """Interrupts a SageMaker training job on this machine, and proves whether training resumed."""


@cli.command(epilog=EPILOG)
@run_options
def run(config: Path | None, **options: Any) -> None:
    """Run a job under interruptions; without options the bundled trainer under one."""
    from simulator.app.settings import load_settings
    from simulator.app.simulate import run_settings

    raise SystemExit(run_settings(load_settings(config, taken(options))).exit_code)


@cli.command(epilog=EPILOG)
@click.argument("file", type=FOLDER)
@click.option("--out", type=FOLDER, help="Folder of the run [runs/TrainingJobName].")
@click.option("--view", type=click.Choice(["auto", "live", "plain", "quiet"]), help="How progress is shown [auto].")
def replay(file: Path, out: Path | None, view: str | None) -> None:
    """Run again what a search found: the replay.json of its folder."""
    from simulator.app.replay import replay as run_again

    raise SystemExit(run_again(file, out=out, view=view or "auto").exit_code)


@cli.command()
@click.argument("run_folder", type=FOLDER)
def report(run_folder: Path) -> None:
    """Show a finished run again."""
    from simulator.app.simulate import show_again

    raise SystemExit(show_again(run_folder))


@cli.command()
@click.argument("rule", required=False)
@click.option("--pages", type=FOLDER, metavar="DIR", help="Write every rule's page into a folder: docs/rules.")
def rules(rule: str | None, pages: Path | None) -> None:
    """What is checked, why, examples that fail and pass, and how to mend it."""
    from simulator.app.rules import explain, write_pages

    click.echo("\n".join(write_pages(pages)) if pages else explain(rule))


@cli.command()
def doctor() -> None:
    """What this machine has and lacks, each with the command that mends it."""
    from simulator.app.doctor import examine

    lines, exit_code = examine()
    click.echo("\n".join(lines))
    raise SystemExit(exit_code)


@cli.command()
def image() -> None:
    """Build the bundled training image, if its inputs changed."""
    from simulator.images import ensure_training_image

    click.echo(ensure_training_image(progress=lambda line: click.echo(line, err=True)))


@cli.command()
def clean() -> None:
    """Remove what killed runs left behind: containers, networks, folders."""
    from simulator.app.simulate import sweep_everything

    removed = sweep_everything()
    click.echo("\n".join(removed) if removed else "nothing was left behind")


cli.add_command(explore)
cli.add_command(serve)
cli.add_command(exec_command)
cli.add_command(env_command)


def main() -> None:
    """Run a command; every error becomes three lines for a person, and its documented exit code."""
    try:
        cli(standalone_mode=False)
    except SystemExit:
        raise
    except SimulatorError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        sys.exit(ExitCode.INTERRUPTED_BY_USER)
    except Exception:  # noqa: BLE001 - the last line of defence: a bug of ours must not look like a verdict
        traceback.print_exc()
        click.echo("error: the simulator itself failed; this says nothing about your script", err=True)
        sys.exit(ExitCode.ENVIRONMENT)
