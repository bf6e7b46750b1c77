"""When an image is built, of what, and what a failure says; on a docker and a debootstrap that only note calls."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.core.errors import EnvironmentFailure
from simulator.images import ImageRecipe, ensure_image
from simulator.images.base import DEBOOTSTRAP_IMAGE, REGISTRY_IMAGE
from simulator.images.build import TRAINING
from simulator.images.commands import run

# What it knows is in files beside it: `images/NAME` holds an image's labels as the simulator asks for them, `calls` is
# what it was asked to do, and `fails` names the verbs that fail.
DOCKER = """#!/bin/sh
here=$(dirname "$0")
for last; do :; done
known() { echo "$here/images/$(echo "$1" | tr /: __)"; }
verb=$1; [ "$1" = image ] && verb="$1 $2"
echo "$*" >>"$here/calls"
grep -qx "$verb" "$here/fails" 2>/dev/null && { echo "step 1"; echo "write /x: no space left on device" >&2; exit 1; }
case $verb in
  version) echo amd64 ;;
  "image inspect") cat "$(known "$last")" 2>/dev/null || exit 1 ;;
  "image rm") rm -f "$(known "$last")" ;;
  pull) echo id >"$(known "$last")" ;;
  import) cat >/dev/null; echo id >"$(known "$last")" ;;
  build)
    ls -R "$last" >"$here/context"
    for word; do
      case $word in
        spot-simulator.inputs=*) inputs=${word#*=} ;;
        spot-simulator.built-on=*) on=${word#*=} ;;
      esac
      [ "$before" = --tag ] && tag=$word
      before=$word
    done
    echo "$inputs $on" >"$(known "$tag")" ;;
esac
"""
DEBOOTSTRAP = """#!/bin/sh
echo "debootstrap $*" >>"$(dirname "$0")/calls"
for word; do case $word in */spot-simulator-base-*) mkdir -p "$word/bin"; echo tree >"$word/bin/python3" ;; esac; done
grep -qx debootstrap "$(dirname "$0")/fails" 2>/dev/null && { echo "E: no mirror answers"; exit 1; }
exit 0
"""
SUDO = '#!/bin/sh\nshift\nexec "$@"\n'


class Machine:
    """A machine with these tools on its PATH, and a recipe to build there."""

    def __init__(self, root: Path) -> None:
        self.tools, self.temporary, self.cache = root / "bin", root / "tmp", root / "cache"
        folder = root / "recipe"
        for part in (self.tools / "images", self.temporary, folder / "data"):
            part.mkdir(parents=True)
        for name, text in {"docker": DOCKER, "debootstrap": DEBOOTSTRAP, "sudo": SUDO}.items():
            (self.tools / name).write_text(text)
            (self.tools / name).chmod(0o755)
        for name in ("Dockerfile", "requirements-x86_64.lock", "train.py", "data/train.csv"):
            (folder / name).write_text(name)
        self.recipe = ImageRecipe("ours:latest", folder, ("train.py", "data"))
        self.said: list[str] = []
        self.have_wheels()
        self.have(REGISTRY_IMAGE)

    def have(self, image: str) -> None:
        (self.tools / "images" / image.replace(":", "_")).write_text("id\n")

    def have_wheels(self) -> None:
        lock = self.recipe.folder / "requirements-x86_64.lock"
        key = hashlib.sha256(lock.read_bytes() + b"x86_64").hexdigest()[:16]
        wheels = self.cache / "spot-simulator" / "wheels" / key
        wheels.mkdir(parents=True)
        (wheels / "some.whl").touch()

    def no_registry_answers(self) -> None:
        (self.tools / "images" / REGISTRY_IMAGE.replace(":", "_")).unlink()
        self.fails("pull")

    def fails(self, *verbs: str) -> None:
        (self.tools / "fails").write_text("".join(f"{verb}\n" for verb in verbs))

    def ensure(self) -> str:
        return ensure_image(self.recipe, progress=self.said.append)

    def calls(self, verb: str) -> list[str]:
        calls = self.tools / "calls"
        return [line for line in calls.read_text().splitlines() if line.startswith(verb)] if calls.exists() else []

    @property
    def left_behind(self) -> list[str]:
        contexts = (self.cache / "spot-simulator").glob("context-*")
        return [str(path) for path in [*self.temporary.iterdir(), *contexts]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(found.tools), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(found.cache))
    monkeypatch.setenv("TMPDIR", str(found.temporary))
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    return found


def test_an_image_is_built_once(machine: Machine) -> None:
    assert [machine.ensure(), machine.ensure()] == ["ours:latest", "ours:latest"]
    assert len(machine.calls("build")) == 1


@pytest.mark.parametrize("changed", ["Dockerfile", "requirements-x86_64.lock", "train.py", "data/train.csv"])
def test_a_changed_input_means_a_new_build(machine: Machine, changed: str) -> None:
    machine.ensure()
    (machine.recipe.folder / changed).write_text("something else")
    if changed.endswith(".lock"):
        machine.have_wheels()
    machine.ensure()
    assert len(machine.calls("build")) == 2


def test_what_python_compiles_is_no_input(machine: Machine) -> None:
    machine.ensure()
    compiled = machine.recipe.folder / "data" / "__pycache__"
    compiled.mkdir()
    (compiled / "x.pyc").write_text("bytes")
    machine.ensure()
    assert len(machine.calls("build")) == 1


def test_each_architecture_has_its_own_inputs() -> None:
    assert TRAINING.inputs("x86_64") != TRAINING.inputs("aarch64")


def test_the_build_sees_the_contents_the_lock_and_the_wheels(machine: Machine) -> None:
    machine.ensure()
    context = (machine.tools / "context").read_text().split()
    assert {"Dockerfile", "requirements.lock", "train.py", "train.csv", "some.whl"} <= set(context)
    assert machine.left_behind == []


def test_another_base_image_means_a_new_build_and_none_named_accepts_any(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.ensure()
    monkeypatch.setenv("BASE_IMAGE", "mine:3.11")
    machine.ensure()
    machine.ensure()
    monkeypatch.delenv("BASE_IMAGE")
    machine.ensure()
    first, second = machine.calls("build")
    assert f"BASE_IMAGE={REGISTRY_IMAGE}" in first
    assert "BASE_IMAGE=mine:3.11" in second


def test_where_no_registry_answers_a_base_is_made_and_imported_and_used_again(machine: Machine) -> None:
    machine.no_registry_answers()
    machine.ensure()
    machine.recipe = replace(machine.recipe, tag="another:latest")
    machine.ensure()
    assert len(machine.calls("debootstrap")) == 1
    assert "--arch=amd64" in machine.calls("debootstrap")[0]
    assert all(f"BASE_IMAGE={DEBOOTSTRAP_IMAGE}" in call for call in machine.calls("build"))
    assert machine.left_behind == []


@pytest.mark.parametrize(
    ("failing", "why"), [("debootstrap", "E: no mirror answers"), ("import", "no space left on device")]
)
def test_a_base_that_could_not_be_made_leaves_nothing(machine: Machine, failing: str, why: str) -> None:
    machine.no_registry_answers()
    machine.fails("pull", failing)
    with pytest.raises(EnvironmentFailure) as caught:
        machine.ensure()
    assert why in caught.value.why
    assert machine.left_behind == []
    assert not (machine.tools / "images" / DEBOOTSTRAP_IMAGE.replace(":", "_")).exists()


def test_a_failed_build_shows_its_end_and_what_to_look_at_and_cleans_up(machine: Machine) -> None:
    machine.fails("build")
    with pytest.raises(EnvironmentFailure) as caught:
        machine.ensure()
    assert "no space left on device" in caught.value.why
    assert "docker system df" in caught.value.next_step
    assert machine.calls("image prune") == ["image prune --force --filter label=spot-simulator.inputs"]
    assert machine.left_behind == []


def test_without_debootstrap_the_error_names_the_package(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.no_registry_answers()
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(EnvironmentFailure) as caught:
        machine.ensure()
    assert "apt-get install debootstrap" in caught.value.next_step


def test_an_engine_that_does_not_answer_is_an_error_with_a_next_step(machine: Machine) -> None:
    machine.fails("version")
    with pytest.raises(EnvironmentFailure) as caught:
        machine.ensure()
    assert "systemctl start docker" in caught.value.next_step


def test_a_recipe_that_is_not_here_is_said(machine: Machine) -> None:
    machine.recipe = replace(machine.recipe, folder=machine.recipe.folder / "nowhere")
    with pytest.raises(EnvironmentFailure, match="cannot be built"):
        machine.ensure()


def test_a_command_that_takes_too_long_is_asked_to_end(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    command = f"trap 'touch {asked}; exit 1' TERM; {sys.executable} -c 'import time; time.sleep(1)'; sleep 1"
    with pytest.raises(EnvironmentFailure, match="too slow"):
        run(["sh", "-c", command], what="too slow", next_step="wait", timeout_seconds=0.2)
    assert asked.exists()
