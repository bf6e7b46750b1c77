"""Which interruptions a job gets: by a tag of its own, by the plan file, by the server's defaults; spot jobs alone."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, ValidationError

from simulator.core.errors import UsageError
from simulator.core.plan import DEFAULT_PROFILE, ExitAfterSigterm, Plan, parse_when, profile_named

PLAN_TAG = "spot-simulator:plan"
TAG_HELP = "for example step=40 60s profile:sudden grace:5, or none"


class JobPlan(BaseModel):
    """The interruptions of the jobs that one pattern names. Durations are seconds; `capacity_gaps` are the waits for
    an instance, the first attempt's included, and `restart_delay` those after them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interrupt: tuple[str, ...] = ()
    profile: str = DEFAULT_PROFILE
    warning: NonNegativeFloat | None = None
    grace: NonNegativeFloat | None = None
    restart_delay: NonNegativeFloat = 0.0
    capacity_gaps: tuple[NonNegativeFloat, ...] = ()
    exit_after_sigterm: ExitAfterSigterm = ExitAfterSigterm.INTERRUPTION
    seed: int = 0

    def plan(self) -> Plan:
        """The engine's plan. Raises UsageError for what cannot be understood."""
        draw = random.Random(self.seed)
        return Plan(
            interruptions=tuple(parse_when(text, draw) for text in self.interrupt),
            profile=profile_named(self.profile, self.warning, self.grace),
            restart_delay_seconds=self.restart_delay,
            capacity_gaps_seconds=self.capacity_gaps,
            exit_after_sigterm=self.exit_after_sigterm,
            seed=self.seed,
        )


class Plans:
    """`by_name`: patterns as of fnmatch, in the file's order: the first that fits counts. `default` is for the rest."""

    def __init__(self, default: JobPlan, by_name: Mapping[str, JobPlan] | None = None) -> None:
        self._default, self._by_name = default, dict(by_name or {})
        default.plan()

    def plan_for(self, name: str, tags: Mapping[str, str], is_spot: bool) -> Plan:
        """The plan of a job. Raises UsageError for a tag that is not understood."""
        chosen = next((plan for pattern, plan in self._by_name.items() if fnmatchcase(name, pattern)), self._default)
        if PLAN_TAG in tags:
            chosen = plan_of_tag(tags[PLAN_TAG], chosen)
        plan = chosen.plan()
        return plan if is_spot else plan.without_interruptions()


def plan_of_tag(text: str, base: JobPlan) -> JobPlan:
    """The plan of a tag: interruptions and `option:value` apart by spaces, on top of `base`'s options."""
    interrupt: list[str] = []
    options: dict[str, Any] = {}
    for word in text.split():
        name, colon, value = word.partition(":")
        if colon and name.replace("-", "_") in JobPlan.model_fields:
            options[name.replace("-", "_")] = value.split("/") if name == "capacity-gaps" else value
        elif word != "none":
            interrupt.append(word)
    if "profile" in options:
        base = JobPlan()
    merged = base.model_dump() | {"interrupt": tuple(interrupt)} | options
    plan = _job_plan(merged, f"the tag {PLAN_TAG}", TAG_HELP)
    plan.plan()
    return plan


def read_plans(path: Path, default: JobPlan) -> Plans:
    """The plans of a TOML file: a table [jobs."PATTERN"] each. Raises UsageError."""
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{path} cannot be read", str(error), "give an existing file to --plan") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML", str(error), f"mend {path}") from error
    jobs = content.get("jobs")
    if not isinstance(jobs, dict) or set(content) != {"jobs"} or not all(isinstance(j, dict) for j in jobs.values()):
        raise UsageError(
            f"{path} is no plan",
            "a plan holds one table for each pattern of job names, and nothing else",
            'write for example [jobs."my-job-*"] and below it interrupt = ["60s"]',
        )
    return Plans(default, {pattern: _table_plan(table, pattern, path, default) for pattern, table in jobs.items()})


def _table_plan(table: Mapping[str, Any], pattern: str, path: Path, default: JobPlan) -> JobPlan:
    own = {name.replace("-", "_"): value for name, value in table.items()}
    if isinstance(own.get("interrupt"), str):
        own["interrupt"] = (own["interrupt"],)
    base = {} if "profile" in own else default.model_dump(exclude={"interrupt"})
    plan = _job_plan(base | own, f'[jobs."{pattern}"] of {path}', f"mend {path}")
    plan.plan()
    return plan


def _job_plan(fields: Mapping[str, Any], source: str, next_step: str) -> JobPlan:
    try:
        return JobPlan(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = "-".join(str(part) for part in first["loc"]).replace("_", "-")
        raise UsageError(
            f"{source}: {name!r} is wrong: {first['msg']}", "it is no setting of a plan", next_step
        ) from error


def describe_plan(plan: Plan) -> Sequence[str]:
    """The interruptions as the user wrote them."""
    return [trigger.text for trigger in plan.interruptions]
