"""The contract with SageMaker's SDK: fails by the name of what a release has moved. Needs no engine."""

from __future__ import annotations

import inspect

import pytest

from simulator.runtimes.local_mode import sdk_seam
from simulator.runtimes.local_mode.order import LaunchOrder
from simulator.runtimes.local_mode.sdk_seam import SEAM, Relied, check_seam


@pytest.mark.parametrize("relied", SEAM, ids=lambda relied: f"{relied.module}.{relied.name}")
def test_the_installed_sdk_is_as_we_rely_on_it(relied: Relied) -> None:
    assert relied.problem() is None


def test_telemetry_is_off_by_the_sdks_documented_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    config = sdk_seam._resolve("sagemaker.core.config.config_manager", "SageMakerConfig")
    monkeypatch.setattr(config, "validate_sagemaker_config", staticmethod(config.validate_sagemaker_config))
    resolve = sdk_seam._resolve("sagemaker.core.common_utils", "resolve_value_from_config")
    path = sdk_seam._resolve("sagemaker.core.config.config_schema", "TELEMETRY_OPT_OUT_PATH")
    session = sdk_seam.prepare_session()
    assert resolve(None, config_path=path, default_value=False, sagemaker_session=session) is True


def test_something_renamed_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    container = sdk_seam._resolve("sagemaker.train.local.local_container", "_LocalContainer")
    method = container.__dict__["_write_config_files"]
    monkeypatch.delattr(container, "_write_config_files")
    monkeypatch.setattr(container, "_write_configuration", method, raising=False)
    assert "sagemaker.train.local.local_container._LocalContainer._write_config_files is not there" in check_seam()


def test_another_parameter_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    container = sdk_seam._resolve("sagemaker.train.local.local_container", "_LocalContainer")

    def changed(self: object, environment: object) -> None: ...

    monkeypatch.setattr(container, "_generate_compose_file", changed)
    (problem,) = check_seam()
    assert problem.endswith(
        "_LocalContainer._generate_compose_file takes (self, environment), not (self, environment, volumes)"
    )


def test_something_that_is_there_but_used_no_more_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = sdk_seam._resolve("sagemaker.train", "ModelTrainer")

    def train(self: object) -> None: ...

    monkeypatch.setattr(trainer, "train", train)
    assert "sagemaker.train.model_trainer._LocalContainer is not used by ModelTrainer.train" in check_seam()


def test_every_method_that_is_overridden_is_in_the_contract() -> None:
    ours = sdk_seam._container_for(LaunchOrder("project", ()))
    theirs = ours.__mro__[1]
    overridden = {
        name
        for name, member in vars(ours).items()
        if inspect.isfunction(member) and member.__module__ == sdk_seam.__name__ and name in vars(theirs)
    }
    relied = {relied.name.rpartition(".")[2] for relied in SEAM}
    assert overridden and overridden <= relied
