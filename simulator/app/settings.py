"""What a user can set, by option, by [tool.spot-simulator] or by keyword; checked once, here."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, ValidationError

from simulator.core.errors import UsageError
from simulator.core.job import CHECKPOINT_LOCAL_PATH, MAX_INSTANCES, MetricDefinition, StoppingCondition
from simulator.core.metrics import DEFAULT_METRICS, MetricReader
from simulator.core.plan import (
    DEFAULT_PROFILE,
    ExitAfterSigterm,
    Plan,
    Trigger,
    gives_notice,
    parse_when,
    profile_named,
)

CONFIG_TABLE = "spot-simulator"


class RuntimeChoice(StrEnum):
    """--runtime."""

    AUTO = "auto"
    LOCAL_MODE = "local-mode"
    PROCESS = "process"


class Settings(BaseModel):
    """Everything `run` takes. Lists and maps given by option replace those of the configuration file, key by key for
    maps. Durations are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runtime: RuntimeChoice = RuntimeChoice.AUTO
    image: str | None = None
    source_dir: Path | None = None
    entry_script: str | None = None
    job_name: str | None = None
    instance_count: int = Field(default=1, ge=1, le=MAX_INSTANCES)
    hyperparameters: Mapping[str, str] = Field(default_factory=dict)
    channels: Mapping[str, Path] = Field(default_factory=dict)
    environment: Mapping[str, str] = Field(default_factory=dict)
    interrupt: tuple[str, ...] = ()
    profile: str = DEFAULT_PROFILE
    warning: NonNegativeFloat | None = None
    grace: NonNegativeFloat | None = None
    restart_delay: NonNegativeFloat = 0.0
    exit_after_sigterm: ExitAfterSigterm = ExitAfterSigterm.INTERRUPTION
    metrics: Mapping[str, str] = Field(default_factory=dict)
    baseline: bool = False
    max_runtime: PositiveFloat = 86_400.0
    max_wait: PositiveFloat | None = None
    checkpoint_config: bool = True
    checkpoint_s3_uri: str | None = None
    checkpoint_local_path: str = CHECKPOINT_LOCAL_PATH
    s3_endpoint: str | None = None
    allow_aws: bool = False
    moto_port: int | None = Field(default=None, ge=1, le=65535)
    uploader_markers: bool = True
    settle_seconds: NonNegativeFloat | None = None
    flush_after_exit: bool = True
    seed: int = 0
    out: Path | None = None
    view: Literal["auto", "live", "plain", "quiet"] = "auto"

    def metric_definitions(self) -> tuple[MetricDefinition, ...]:
        """The user's metrics and, for names they left free, the defaults. Raises UsageError for a wrong expression."""
        own = tuple(MetricDefinition(name, regex) for name, regex in self.metrics.items())
        MetricReader(own)
        return own + tuple(metric for metric in DEFAULT_METRICS if metric.Name not in self.metrics)

    def stopping_condition(self) -> StoppingCondition:
        """StoppingCondition; a wait given alone bounds the runtime too. Raises UsageError where it is below it."""
        if self.max_wait is None or self.max_wait >= self.max_runtime:
            return StoppingCondition(self.max_runtime, self.max_wait)
        if "max_runtime" not in self.model_fields_set:
            return StoppingCondition(self.max_wait, self.max_wait)
        raise UsageError(
            f"--max-wait {self.max_wait:g} is below --max-runtime {self.max_runtime:g}",
            "CreateTrainingJob wants MaxWaitTimeInSeconds to be at least MaxRuntimeInSeconds",
            f"use --max-wait {self.max_runtime:g} or more",
        )

    def plan(self, default_interruption: str) -> Plan:
        """The plan that these settings ask for. Raises UsageError for what cannot be understood or never happens."""
        draw = random.Random(self.seed)
        triggers = tuple(parse_when(text, draw) for text in (self.interrupt or (default_interruption,)))
        self._refuse_unknown_metrics(triggers)
        return Plan(
            interruptions=triggers,
            profile=profile_named(self.profile, self.warning, self.grace),
            restart_delay_seconds=self.restart_delay,
            exit_after_sigterm=self.exit_after_sigterm,
            seed=self.seed,
        )

    def _refuse_unknown_metrics(self, triggers: tuple[Trigger, ...]) -> None:
        known = {metric.Name for metric in self.metric_definitions()}
        for trigger in triggers:
            if trigger.when == "metric" and trigger.name not in known:
                raise UsageError(
                    f"--interrupt {trigger.text} waits for a metric that nothing reads",
                    f"the metrics are {', '.join(sorted(known))}",
                    f"add --metric '{trigger.name}=REGEX' with one group that gives its value",
                )


def load_settings(
    config: Path | None,
    overrides: Mapping[str, Any],
    directory: Path | None = None,
    overrides_from: str = "the command line",
) -> Settings:
    """The settings of a file (or of pyproject.toml in `directory`, the current one by default) with overrides on top.

    Raises UsageError with the field's name for what is wrong or unknown, and `overrides_from` where that came from.
    """
    table, source = _read_table(config, directory or Path.cwd())
    merged = {key.replace("-", "_"): value for key, value in table.items()}
    for key, value in overrides.items():
        if value is None or value == () or value == {}:
            continue
        before = merged.get(key)
        merged[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, Mapping) else value
    if overrides.get("warning") is None and not gives_notice(str(overrides.get("profile"))):
        merged.pop("warning", None)  # the file's goes with the file's profile
    try:
        return Settings(**merged)
    except ValidationError as error:
        first = error.errors()[0]
        field = "-".join(str(part) for part in first["loc"]).replace("_", "-")
        raise UsageError(
            f"the setting {field!r} is wrong: {first['msg']}",
            f"it came from {source if field.replace('-', '_') not in overrides else overrides_from}",
            "see spot-simulator run --help",
        ) from error


def _read_table(config: Path | None, directory: Path) -> tuple[dict[str, Any], str]:
    path = config or directory / "pyproject.toml"
    if config is None and not path.is_file():
        return {}, "the command line"
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{path} cannot be read", str(error), "give an existing file to --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML", str(error), f"mend {path}") from error
    table = content.get("tool", {}).get(CONFIG_TABLE)
    if table is None:
        table = {key: value for key, value in content.items() if key != "tool"} if config is not None else {}
        if config is not None and path.name == "pyproject.toml":
            raise UsageError(
                f"{path} has no [tool.{CONFIG_TABLE}]", "that is where the settings live", f"add the table to {path}"
            )
    for name in ("hyperparameters", "metrics", "environment"):
        if isinstance(table.get(name), dict):
            table[name] = {key: str(value) for key, value in table[name].items()}
    if isinstance(table.get("interrupt"), str):
        table["interrupt"] = (table["interrupt"],)
    return dict(table), str(path)
