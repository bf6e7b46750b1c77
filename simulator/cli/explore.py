"""`spot-simulator explore …`: the searches' commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simulator.cli.options import FOLDER, job_options

if TYPE_CHECKING:
    from simulator.app.explore import ExploreOptions
    from simulator.app.settings import Settings

DEFAULT_BUDGET = "5m"


def _search_options(command: Callable[..., None]) -> Callable[..., None]:
    options = [
        click.option(
            "--budget",
            default=DEFAULT_BUDGET,
            show_default=True,
            metavar="TIME|N",
            help="How much is tried: 90s, 10m, 2h, or a number of trials. Shrinking and confirming come on top.",
        ),
        click.option("--jobs", type=click.IntRange(1), help="Trials at a time [the number of cores]."),
        click.option(
            "--backend",
            type=click.Choice(["loky", "dask", "ray"]),
            default="loky",
            show_default=True,
            help="Where trials run: processes of this machine, or a cluster.",
        ),
        click.option("--cluster", metavar="ADDRESS", help="The dask scheduler or ray head that is there already."),
        click.option("--until-failure", is_flag=True, help="Stop at the first trial that does not survive."),
        click.option(
            "--start",
            type=click.Choice(["zygote", "cold"]),
            help="How processes start: forked from one that has imported TensorFlow and the like, or cold "
            "[zygote, where that is shown to change nothing].",
        ),
        click.option("--resume", type=FOLDER, metavar="DIR", help="Go on with the search in a folder, in that folder."),
    ]
    for option in reversed(options):
        command = option(command)
    return job_options(command)


_profiles_option = click.option(
    "--profile", "profiles", multiple=True, help="two-minute, sagemaker, ec2, sudden; may be repeated [all of them]."
)


@click.group()
def explore() -> None:
    """Find the interruption that the script does not survive."""


@explore.command()
@_profiles_option
@_search_options
def schedules(config: Path | None, profiles: tuple[str, ...], **options: Any) -> None:
    """Search over moments: one, two and three interruptions at what the script does."""
    _explore("schedules", config, {**options, "profiles": profiles})


def _explore(search: str, config: Path | None, options: dict[str, Any]) -> None:
    from simulator.app.explore import explore as carry_out

    raise SystemExit(carry_out(*_asked_for(search, config, options)).exit_code)


def _asked_for(search: str, config: Path | None, options: dict[str, Any]) -> tuple[Settings, ExploreOptions]:
    from simulator.app.explore import ExploreOptions, explore_settings
    from simulator.cli.options import taken
    from simulator.explore.laboratory import Start
    from simulator.explore.pool import Backend, default_jobs
    from simulator.explore.search import parse_budget
    from simulator.explore.trial import Search

    start = options.pop("start")
    chosen = ExploreOptions(
        search=Search(search),
        budget=parse_budget(options.pop("budget")),
        jobs=options.pop("jobs") or default_jobs(),
        backend=Backend(options.pop("backend")),
        cluster=options.pop("cluster"),
        until_failure=options.pop("until_failure"),
        start=None if start is None else Start(start),
        profiles=tuple(options.pop("profiles", ())),
        resume=options.pop("resume"),
    )
    return explore_settings(config, taken(options)), chosen


@explore.command()
@_search_options
def states(config: Path | None, **options: Any) -> None:
    """Search over what S3 can hold when the instance goes: record one run, and resume from each state."""
    _explore("states", config, options)


@explore.command()
@_profiles_option
@_search_options
def faults(config: Path | None, profiles: tuple[str, ...], **options: Any) -> None:
    """Search over what goes wrong on the way to S3 and on the disk: throttling, resets, lost answers, a full disk."""
    _explore("faults", config, {**options, "profiles": profiles})


@explore.command("all")
@_profiles_option
@_search_options
def all_of_them(config: Path | None, profiles: tuple[str, ...], **options: Any) -> None:
    """All three, each with the whole budget and a folder of its own below --out."""
    from simulator.app.explore_all import explore_all

    found = explore_all(*_asked_for("schedules", config, {**options, "profiles": profiles}))
    click.echo(f"\n{found.line}")
    raise SystemExit(found.exit_code)
