"""docs/example-project as its user has it: installed with the simulator into a clean virtual environment, tested there.

Of the simulator's dependencies `sagemaker` is left out, which brings 1.2 GB and is imported by the local-mode runtime
alone; all others come from the package index (or pip's cache) at the locked versions: 190 MB in about 20 s.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.harness import PATIENCE_SECONDS, ROOT

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "docs" / "example-project"
RESTORES = "if checkpoint.exists():"


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command with its output, free of what this pytest session has in its environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def pip(python: Path, *arguments: str | Path) -> None:
    options = ("--quiet", "--disable-pip-version-check", "--no-compile")
    done = run(sys.executable, "-m", "pip", "--python", python, "install", *options, *arguments, cwd=python.parent)
    if done.returncode and "Retrying (" in done.stderr and not os.environ.get("CI"):
        pytest.skip(f"the package index does not answer: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr


def requirements() -> list[str]:
    """What the process runtime needs, as pyproject.toml says it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [requirement for requirement in project["dependencies"] if not requirement.startswith("sagemaker")]


def constraints(file: Path) -> Path:
    """The locked versions as pip takes them for constraints: without hashes and extras."""
    lines = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?(==[^\\\n]+?) *\\?$", (ROOT / ".requirements.lock").read_text(), re.M)
    assert lines
    file.write_text("".join(f"{name}{version}\n" for name, version in lines))
    return file


@pytest.fixture
def python(tmp_path: Path) -> Iterator[Path]:
    """The Python of a clean environment that has the simulator and the example, built from copies of this checkout."""
    shutil.copytree(
        ROOT / "simulator", tmp_path / "simulator" / "simulator", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "simulator")
    shutil.copytree(EXAMPLE, tmp_path / "example")
    assert run(sys.executable, "-m", "venv", "--without-pip", "clean", cwd=tmp_path).returncode == 0
    python = tmp_path / "clean" / "bin" / "python"
    pip(python, "--constraint", constraints(tmp_path / "constraints.txt"), *requirements(), "pytest", "setuptools>=77")
    pip(python, "--no-deps", "--no-build-isolation", tmp_path / "simulator", tmp_path / "example")
    yield python
    shutil.rmtree(tmp_path / "clean")


def test_the_example_passes_where_it_was_installed_and_fails_when_it_forgets_to_restore(tmp_path: Path, python: Path):
    example = tmp_path / "example"
    where = "import simulator, train; print(simulator.__file__, train.__file__, find_spec('sagemaker'))"
    *files, sagemaker = run(
        python, "-c", f"from importlib.util import find_spec; {where}", cwd=tmp_path / "clean"
    ).stdout.split()
    assert all(file.startswith(str(tmp_path / "clean")) for file in files)
    assert sagemaker == "None"

    passing = run(python, "-m", "pytest", cwd=example)
    assert passing.returncode == 0, passing.stdout + passing.stderr
    assert "2 passed" in passing.stdout
    assert "tier 1 (bit-identical)" in passing.stdout

    script = example / "src" / "train.py"
    assert RESTORES in script.read_text()
    script.write_text(script.read_text().replace(RESTORES, "if False:"))
    failing = run(python, "-m", "pytest", "-k", "after_a_warning", cwd=example)
    assert failing.returncode == pytest.ExitCode.TESTS_FAILED
    assert "SPOT002 restarted-from-scratch" in failing.stdout
    assert "  fix   " in failing.stdout
