"""A job that is refused before anything starts: by option, by file and by keyword, with a report all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from simulator.app import simulate as app
from simulator.app.simulate import simulate
from simulator.cli.main import cli
from simulator.core.errors import ExitCode, UsageError


@pytest.fixture(autouse=True)
def nothing_may_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*arguments: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(app, "choose_runtime", start)
    monkeypatch.setattr(app, "open_s3", start)


def test_the_option_refuses_with_exit_code_1_and_a_report(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["run", "--no-checkpoint-config", "--out", str(tmp_path / "run")])
    assert done.exit_code == ExitCode.DOES_NOT_SURVIVE
    assert "SPOT016" in done.output
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["verdict"], report["tier"], report["partial"], report["attempts"]) == ("failed", None, False, [])
    assert [finding["rule"] for finding in report["findings"]] == ["SPOT016"]
    assert "CheckpointConfig" not in report["job"]
    assert report["job"]["EnableManagedSpotTraining"] is True


def test_a_file_refuses_too_and_an_option_overrules_it(tmp_path: Path) -> None:
    config = tmp_path / "spot.toml"
    config.write_text("checkpoint-config = false\n")
    assert simulate(config, out=tmp_path / "run").exit_code is ExitCode.DOES_NOT_SURVIVE
    with pytest.raises(AssertionError, match="started"):
        simulate(config, checkpoint_config=True, out=tmp_path / "run")


def test_a_checkpoint_uri_without_a_checkpoint_config_is_a_contradiction(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="contradict"):
        simulate(checkpoint_config=False, checkpoint_s3_uri="s3://bucket/prefix/", out=tmp_path / "run")
