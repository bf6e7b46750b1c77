"""What `import simulator` gives: the function that the command is, and no heavy import before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import simulator


def test_simulate_is_the_commands_function() -> None:
    from simulator.app.simulate import simulate

    assert simulator.simulate is simulate
    assert simulator.Result.__module__ == "simulator.app.simulate"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        simulator.simulat  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "{'boto3', 'docker', 'moto', 'pydantic', 'sagemaker'}"
    program = f"import sys, simulator; assert not {heavy} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
