"""The options that several commands share, and what click makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click


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


_OPTIONS = {
    "--config": click.option(
        "--config", type=FOLDER, help="TOML file with these settings, or [tool.spot-simulator] in it."
    ),
    "--runtime": click.option(
        "--runtime", type=click.Choice(["auto", "local-mode", "process"]), help="Where attempts run."
    ),
    "--image": click.option(
        "--image", help="Training image, run with its own entrypoint unless --entry-script is given."
    ),
    "--source-dir": click.option(
        "--source-dir", type=FOLDER, help="Folder of the training code (SourceCode.source_dir)."
    ),
    "--entry-script": click.option("--entry-script", help="Script in --source-dir (SourceCode.entry_script)."),
    "--job-name": click.option("--job-name", help="TrainingJobName; by default the script's name and the time."),
    "--instance-count": click.option(
        "--instance-count", type=int, help="InstanceCount: so many hosts, algo-1 …, interrupted together [1]."
    ),
    "--hyperparameter": click.option(
        "--hyperparameter", "hyperparameters", type=PAIR, multiple=True, help="K=V; may be repeated."
    ),
    "--channel": click.option(
        "--channel", "channels", type=PAIR, multiple=True, help="NAME=PATH under /opt/ml/input/data."
    ),
    "--environment": click.option("--environment", type=PAIR, multiple=True, help="NAME=VALUE in the container."),
    "--interrupt": click.option(
        "--interrupt",
        multiple=True,
        metavar="WHEN",
        help="60s, start, step=200, epoch=3, METRIC=VALUE, line=REGEX, save=2, checkpoint=2, upload=2, uploaded=2, "
        "download or restored; several make several attempts. A range (step=50..200) is drawn with --seed.",
    ),
    "--profile": click.option("--profile", help="two-minute (default), sagemaker, ec2 or sudden."),
    "--warning": click.option("--warning", type=float, metavar="SECONDS", help="From the notice to the reclaim [120]."),
    "--grace": click.option("--grace", type=float, metavar="SECONDS", help="From SIGTERM to SIGKILL [120]."),
    "--restart-delay": click.option(
        "--restart-delay", type=float, metavar="SECONDS", help="Until the next instance comes [0]."
    ),
    "--exit-after-sigterm": click.option(
        "--exit-after-sigterm",
        type=click.Choice(["interruption", "as-is"]),
        help="What an exit after SIGTERM means (an assumption: AWS documents nothing) [interruption].",
    ),
    "--metric": click.option(
        "--metric", "metrics", type=PAIR, multiple=True, help="NAME=REGEX with one group, on log lines."
    ),
    "--baseline": click.option(
        "--baseline/--no-baseline", default=None, help="Run uninterrupted as well, twice, and compare [no]."
    ),
    "--max-runtime": click.option("--max-runtime", type=float, metavar="SECONDS", help="MaxRuntimeInSeconds [86400]."),
    "--max-wait": click.option("--max-wait", type=float, metavar="SECONDS", help="MaxWaitTimeInSeconds [none]."),
    "--checkpoint-config": click.option(
        "--checkpoint-config/--no-checkpoint-config",
        default=None,
        help="Whether the job has a CheckpointConfig: one without is refused (SPOT016) [yes].",
    ),
    "--checkpoint-s3-uri": click.option("--checkpoint-s3-uri", metavar="URI", help="CheckpointConfig.S3Uri."),
    "--checkpoint-local-path": click.option(
        "--checkpoint-local-path", metavar="PATH", help="CheckpointConfig.LocalPath."
    ),
    "--s3-endpoint": click.option("--s3-endpoint", metavar="URL", help="Another S3 than moto: MinIO, LocalStack."),
    "--allow-aws": click.option(
        "--allow-aws", is_flag=True, default=None, help="Let requests leave, with your credentials."
    ),
    "--moto-port": click.option("--moto-port", type=int, help="Port on loopback for moto [a free one]."),
    "--uploader-markers": click.option(
        "--uploader-markers/--no-uploader-markers",
        default=None,
        help="*.sagemaker-uploading and -uploaded beside checkpoint files, as SageMaker leaves them [yes].",
    ),
    "--settle": click.option(
        "--settle", "settle_seconds", type=float, metavar="SECONDS", help="How long a file rests before it goes up."
    ),
    "--flush-after-exit": click.option(
        "--flush-after-exit/--no-flush-after-exit",
        default=None,
        help="Whether uploads go on between an exit on SIGTERM and SIGKILL (an assumption) [yes].",
    ),
    "--seed": click.option("--seed", type=int, help="Draws the ranges of --interrupt; kept in the report [0]."),
    "--out": click.option("--out", type=FOLDER, help="Folder of the run [runs/TrainingJobName]."),
    "--view": click.option(
        "--view", type=click.Choice(["auto", "live", "plain", "quiet"]), help="How progress is shown [auto]."
    ),
}
"""Those of `run`, in the order the help shows them."""
CHOSEN_BY_SEARCH = frozenset({"--interrupt", "--profile", "--baseline", "--instance-count"})
"""Options of `run` that a search takes in another form, or decides itself."""


def run_options(command: Command) -> Command:
    """All that `run` takes."""
    return _with(command, _OPTIONS)


def job_options(command: Command) -> Command:
    """What `run` takes for the job: all but when and by which profile it is interrupted."""
    return _with(command, {flag: option for flag, option in _OPTIONS.items() if flag not in CHOSEN_BY_SEARCH})


def _with(command: Command, options: Mapping[str, Callable[[Command], Command]]) -> Command:
    for option in reversed(list(options.values())):
        command = option(command)
    return command


def taken(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as settings: pairs become maps."""
    pairs = ("hyperparameters", "channels", "environment", "metrics")
    return {name: dict(value) if name in pairs else value for name, value in options.items()}
