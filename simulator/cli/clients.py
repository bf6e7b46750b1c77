"""`spot-simulator serve`, `exec` and `env`: launch code meets this machine in AWS's place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from simulator.cli.options import FOLDER

EPILOG = """\b
  spot-simulator exec -- python launch.py
  spot-simulator exec --interrupt 60s --profile sagemaker -- aws sagemaker create-training-job …

The exit code is the command's; 2 and 3 where it could not be started. See docs/launch-code.md.
"""


def place_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of AWS's place on this machine, for every command that makes one."""
    options = [
        click.option(
            "--image-map",
            "image_map",
            multiple=True,
            metavar="URI=IMAGE",
            help="Which image of this machine runs where a job names URI (wildcards: *, ?, [a-z]); the first that fits "
            "counts. SageMaker's TensorFlow images are the bundled training image.",
        ),
        click.option(
            "--missing-roles",
            type=click.Choice(["create", "leave"]),
            default="create",
            show_default=True,
            help="Whether an execution role that a client names, and that is not there, is made.",
        ),
        click.option(
            "--allow-host",
            "allow_host",
            multiple=True,
            metavar="HOST",
            help="Let the proxy through to HOST; never AWS.",
        ),
        click.option(
            "--proxy-port",
            type=click.IntRange(0, 65535),
            default=0,
            help="Port on loopback for the proxy [a free one].",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def plan_options(command: Callable[..., None]) -> Callable[..., None]:
    """How the jobs' instances are taken away."""
    options = [
        click.option(
            "--plan", type=FOLDER, metavar="FILE", help="TOML with a table of interruptions for name patterns."
        ),
        click.option(
            "--interrupt", multiple=True, metavar="WHEN", help="For spot jobs that no plan names; see run --help."
        ),
        click.option("--profile", help="two-minute (default), sagemaker, ec2 or sudden."),
        click.option("--warning", type=float, metavar="SECONDS", help="From the notice to the reclaim [120]."),
        click.option("--grace", type=float, metavar="SECONDS", help="From SIGTERM to SIGKILL [120]."),
        click.option("--restart-delay", type=float, metavar="SECONDS", help="Until the next instance comes [0]."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port on loopback, 0 for a free one [5055].")
@click.option("--runtime", type=click.Choice(["auto", "local-mode", "process"]), default="auto", help="Where jobs run.")
@plan_options
@place_options
@click.option("--state-dir", type=FOLDER, help="Keeps jobs and their records over a restart of the server.")
@click.option("--out", type=FOLDER, help="Folder of the jobs' run folders [runs, or below --state-dir].")
def serve(**options: Any) -> None:
    """Answer the SageMaker API of training jobs on this machine, with spot; every other service is moto's."""
    from simulator.service.command import serve_until_interrupted
    from simulator.service.settings import DEFAULT_PORT

    port = DEFAULT_PORT if options["port"] is None else options["port"]
    serve_until_interrupted(_settings(options, port), doors_of(options))


@click.command(
    "exec", epilog=EPILOG, context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False}
)
@click.option("--runtime", type=click.Choice(["auto", "local-mode", "process"]), default="auto", help="Where jobs run.")
@plan_options
@place_options
@click.option("--out", type=FOLDER, help="Folder of the jobs' run folders [runs].")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD …")
def exec_command(command: tuple[str, ...], **options: Any) -> None:
    """Run launch code with this machine in AWS's place: SDK, boto3, AWS CLI, no line of it changed."""
    from simulator.service.launch import exec_in_place

    raise SystemExit(exec_in_place(command, _settings(options, port=0), doors_of(options)))


@click.command("env")
@click.option("--port", type=click.IntRange(1, 65535), help="The port of spot-simulator serve [5055].")
def env_command(port: int | None) -> None:
    """Print what a shell is to export for clients of a running `serve`: eval "$(spot-simulator env)"."""
    from simulator.service.environment import exports
    from simulator.service.place import read_published
    from simulator.service.settings import DEFAULT_PORT

    click.echo(exports(read_published(DEFAULT_PORT if port is None else port)))


def doors_of(options: dict[str, Any]) -> Any:
    """The Doors of `place_options`. Raises UsageError."""
    from simulator.service.iam import MissingRoles
    from simulator.service.image_map import ImageMap
    from simulator.service.place import Doors

    return Doors(
        image_map=ImageMap.parse(options["image_map"]),
        missing_roles=MissingRoles(options["missing_roles"]),
        allowed=tuple(host.lower() for host in options["allow_host"]),
        proxy_port=options["proxy_port"],
    )


def _settings(options: dict[str, Any], port: int) -> Any:
    """ServeSettings. Raises UsageError."""
    from simulator.app.settings import RuntimeChoice
    from simulator.service.settings import ServeSettings, default_plan

    plan = [options[name] for name in ("interrupt", "profile", "warning", "grace", "restart_delay")]
    return ServeSettings(
        port=port,
        runtime=RuntimeChoice(options["runtime"]),
        default_plan=default_plan(*plan),
        plan_file=options["plan"],
        state_dir=options.get("state_dir"),
        runs=options["out"],
    )
