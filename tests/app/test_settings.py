"""Options, files and keywords become one checked set of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.app.settings import Settings, load_settings
from simulator.core.errors import UsageError


def test_options_win_over_the_file_and_maps_are_merged(tmp_path: Path) -> None:
    config = tmp_path / "spot.toml"
    config.write_text('warning = 30\ninterrupt = "step=4"\n[hyperparameters]\nepochs = 3\nlr = 0.1\n')
    settings = load_settings(config, {"warning": 5.0, "hyperparameters": {"epochs": "9"}, "grace": None})
    assert settings.warning == 5.0
    assert settings.interrupt == ("step=4",)
    assert settings.hyperparameters == {"epochs": "9", "lr": "0.1"}


def test_a_profile_without_a_notice_leaves_the_files_warning_aside(tmp_path: Path) -> None:
    config = tmp_path / "spot.toml"
    config.write_text("warning = 30\n")
    assert load_settings(config, {"profile": "sudden"}).warning is None
    assert load_settings(config, {"profile": "ec2"}).warning == 30.0
    assert load_settings(config, {"profile": "sudden", "warning": 5.0}).warning == 5.0  # which the plan refuses


def test_pyproject_of_the_current_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.spot-simulator]\nentry-script = "fit.py"\nrestart-delay = 2\n')
    settings = load_settings(None, {}, tmp_path)
    assert (settings.entry_script, settings.restart_delay) == ("fit.py", 2.0)


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    config = tmp_path / "spot.toml"
    config.write_text("interupt = ['step=4']\n")
    with pytest.raises(UsageError, match="interupt"):
        load_settings(config, {})


@pytest.mark.parametrize("text", ["", "[tool", 'runtime = "podman"', "warning = -1", "moto-port = 99999"])
def test_what_is_wrong_in_a_file_is_a_usage_error(tmp_path: Path, text: str) -> None:
    config = tmp_path / "spot.toml"
    config.write_text(text)
    if text:
        with pytest.raises(UsageError):
            load_settings(config, {})
    else:
        assert load_settings(config, {}) == Settings()


def test_a_missing_config_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_settings(tmp_path / "none.toml", {})


def test_an_interrupt_that_waits_for_a_metric_nothing_reads_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing reads"):
        Settings(interrupt=("batch=3",)).plan("checkpoint=1")
    assert Settings(interrupt=("batch=3",), metrics={"batch": r"batch (\d+)"}).plan("checkpoint=1")


def test_the_same_seed_draws_the_same_moment() -> None:
    plans = [Settings(interrupt=("step=10..500",), seed=seed).plan("checkpoint=1") for seed in (3, 3, 4)]
    assert plans[0] == plans[1]
    assert plans[0].interruptions != plans[2].interruptions


def test_a_wait_below_the_runtime_is_refused_and_a_wait_alone_bounds_the_runtime() -> None:
    with pytest.raises(UsageError, match="below"):
        Settings(max_wait=10.0, max_runtime=20.0).stopping_condition()
    assert Settings(max_wait=10.0).stopping_condition().MaxRuntimeInSeconds == 10.0
