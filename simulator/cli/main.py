"""`spot-simulator`: every command, what it takes, and the exit codes they share."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

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


class Pairs(click.ParamType[tuple[str, str]]):
    """NAME=VALUE."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the first equals sign."""
        if isinstance(value, tuple):
            return value
        name, equals, rest = str(value).partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return name, rest


PAIR = Pairs()
FOLDER = click.Path(path_type=Path)
Command = Callable[..., None]


def run_options(command: Command) -> Command:
    """The options of `run`, in the order the help shows them."""
    options = [
        click.option("--config", type=FOLDER, help="TOML file with these settings, or [tool.spot-simulator] in it."),
        click.option("--runtime", type=click.Choice(["auto", "local-mode", "process"]), help="Where attempts run."),
        click.option("--image", help="Training image, run with its own entrypoint unless --entry-script is given."),
        click.option("--source-dir", type=FOLDER, help="Folder of the training code (SourceCode.source_dir)."),
        click.option("--entry-script", help="Script in --source-dir (SourceCode.entry_script)."),
        click.option("--job-name", help="TrainingJobName; by default the script's name and the time."),
        click.option("--hyperparameter", "hyperparameters", type=PAIR, multiple=True, help="K=V; may be repeated."),
        click.option("--channel", "channels", type=PAIR, multiple=True, help="NAME=PATH under /opt/ml/input/data."),
        click.option("--environment", type=PAIR, multiple=True, help="NAME=VALUE in the container."),
        click.option(
            "--interrupt",
            multiple=True,
            metavar="WHEN",
            help="60s, step=200, epoch=3, METRIC=VALUE, line=REGEX, checkpoint=2, save, upload or download; several "
            "make several attempts. A range (step=50..200) is drawn with --seed.",
        ),
        click.option("--profile", help="two-minute (default), sagemaker, ec2 or sudden."),
        click.option("--warning", type=float, metavar="SECONDS", help="From the notice to the reclaim [120]."),
        click.option("--grace", type=float, metavar="SECONDS", help="From SIGTERM to SIGKILL [120]."),
        click.option("--restart-delay", type=float, metavar="SECONDS", help="Until the next instance comes [0]."),
        click.option(
            "--exit-after-sigterm",
            type=click.Choice(["interruption", "as-is"]),
            help="What an exit after SIGTERM means (an assumption: AWS documents nothing) [interruption].",
        ),
        click.option("--metric", "metrics", type=PAIR, multiple=True, help="NAME=REGEX with one group, on log lines."),
        click.option(
            "--baseline/--no-baseline", default=None, help="Run uninterrupted as well, twice, and compare [no]."
        ),
        click.option("--max-runtime", type=float, metavar="SECONDS", help="MaxRuntimeInSeconds [86400]."),
        click.option("--max-wait", type=float, metavar="SECONDS", help="MaxWaitTimeInSeconds [none]."),
        click.option(
            "--checkpoint-config/--no-checkpoint-config",
            default=None,
            help="Whether the job has a CheckpointConfig: one without is refused (SPOT016) [yes].",
        ),
        click.option("--checkpoint-s3-uri", metavar="URI", help="CheckpointConfig.S3Uri."),
        click.option("--checkpoint-local-path", metavar="PATH", help="CheckpointConfig.LocalPath."),
        click.option("--s3-endpoint", metavar="URL", help="Another S3 than moto: MinIO, LocalStack."),
        click.option("--allow-aws", is_flag=True, default=None, help="Let requests leave, with your credentials."),
        click.option("--moto-port", type=int, help="Port on loopback for moto [a free one]."),
        click.option(
            "--uploader-markers/--no-uploader-markers",
            default=None,
            help="*.sagemaker-uploading and -uploaded beside checkpoint files, as SageMaker leaves them [yes].",
        ),
        click.option(
            "--settle", "settle_seconds", type=float, metavar="SECONDS", help="How long a file rests before it goes up."
        ),
        click.option(
            "--flush-after-exit/--no-flush-after-exit",
            default=None,
            help="Whether uploads go on between an exit on SIGTERM and SIGKILL (an assumption) [yes].",
        ),
        click.option("--seed", type=int, help="Draws the ranges of --interrupt; kept in the report [0]."),
        click.option("--out", type=FOLDER, help="Folder of the run [runs/TrainingJobName]."),
        click.option(
            "--view", type=click.Choice(["auto", "live", "plain", "quiet"]), help="How progress is shown [auto]."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


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

    for name in ("hyperparameters", "channels", "environment", "metrics"):
        options[name] = dict(options[name])
    raise SystemExit(run_settings(load_settings(config, options)).exit_code)


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


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port on loopback, 0 for a free one [5055].")
@click.option("--runtime", type=click.Choice(["auto", "local-mode", "process"]), default="auto", help="Where jobs run.")
@click.option("--plan", type=FOLDER, metavar="FILE", help="TOML with a table of interruptions for each name pattern.")
@click.option("--interrupt", multiple=True, metavar="WHEN", help="For spot jobs that no plan names; see run --help.")
@click.option("--profile", help="two-minute (default), sagemaker, ec2 or sudden.")
@click.option("--warning", type=float, metavar="SECONDS", help="From the notice to the reclaim [120].")
@click.option("--grace", type=float, metavar="SECONDS", help="From SIGTERM to SIGKILL [120].")
@click.option("--restart-delay", type=float, metavar="SECONDS", help="Until the next instance comes [0].")
@click.option("--state-dir", type=FOLDER, help="Keeps jobs and their records over a restart of the server.")
@click.option("--out", type=FOLDER, help="Folder of the jobs' run folders [runs, or below --state-dir].")
def serve(**options: Any) -> None:
    """Answer the SageMaker API of training jobs on this machine, with spot; every other service is moto's."""
    from simulator.service.command import serve_until_interrupted

    serve_until_interrupted(**options)


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
