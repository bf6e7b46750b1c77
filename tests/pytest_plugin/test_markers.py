"""Markers and keywords become one mapping of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator.pytest_plugin.fixture import run_folders
from simulator.pytest_plugin.markers import marked_settings, merged

pytest_plugins = ["pytester"]


def settings_of(pytester: pytest.Pytester, source: str) -> list[dict[str, Any]]:
    pytester.plugins.append("simulator.pytest_plugin")
    items = pytester.getitems(f"import pytest\ninterrupt = pytest.mark.interrupt\n{source}")
    return [marked_settings(item) for item in items]


def test_stacked_markers_interrupt_from_top_to_bottom(pytester: pytest.Pytester):
    source = '@interrupt("step=40", "download")\n@interrupt("save")\n@interrupt(warning=2)\ndef test(): ...\n'
    assert settings_of(pytester, source) == [{"interrupt": ("step=40", "download", "save"), "warning": 2}]


def test_the_nearer_marker_wins_and_what_it_leaves_open_comes_from_around_it(pytester: pytest.Pytester):
    source = """
    pytestmark = interrupt("step=1", warning=9, grace=9, hyperparameters={"epochs": 3, "lr": 0.1})
    @interrupt("step=2", warning=5)
    class TestIt:
        def test_class(self): ...
        @interrupt("step=3", hyperparameters={"epochs": 4})
        def test_own(self): ...
    def test_module(): ...
    """
    in_class, own, module = settings_of(pytester, "\n".join(line[4:] for line in source.splitlines()))
    assert (module["interrupt"], module["warning"]) == (("step=1",), 9)
    assert (in_class["interrupt"], in_class["warning"], in_class["grace"]) == (("step=2",), 5, 9)
    assert (own["interrupt"], own["warning"]) == (("step=3",), 5)
    assert own["hyperparameters"] == {"epochs": "4", "lr": "0.1"}


def test_a_nearer_profile_without_a_notice_leaves_the_warning_of_another_aside():
    around = {"warning": 2, "grace": 5}
    assert merged(around, {"profile": "sudden"}) == {"profile": "sudden", "grace": 5}
    assert merged(around, {"profile": "ec2"}) == {"profile": "ec2", "warning": 2, "grace": 5}
    assert merged(around, {"profile": "sudden", "warning": 1})["warning"] == 1  # which the plan refuses


def test_parameters_bring_markers_of_their_own(pytester: pytest.Pytester):
    source = """
@interrupt(warning=2)
@pytest.mark.parametrize("name", [pytest.param("a", marks=interrupt("save")), pytest.param("b", marks=interrupt("5s"))])
def test(name): ...
"""
    assert [settings["interrupt"] for settings in settings_of(pytester, source)] == [("save",), ("5s",)]


def test_under_spot_out_every_test_has_a_folder_that_bears_its_name(pytester: pytest.Pytester):
    pytester.plugins.append("simulator.pytest_plugin")
    moments = "@pytest.mark.parametrize('when', ['a/b', 'a b', 'c' * 300])"
    source = f"import pytest\n{moments}\ndef test(when): ...\ndef test_b(): ..."
    module = pytester.getmodulecol(source, ["--spot-out", "kept"])
    folders = [run_folders(item, Path("unused"))(2).name for item in pytester.genitems([module])]
    assert len(set(folders)) == 4
    assert folders[-1] == f"{Path(module.nodeid).stem}-test_b-2"
    assert max(map(len, folders)) < 100


def test_a_call_wins_over_markers_and_takes_moments_as_people_write_them():
    marked = {"interrupt": ("step=1",), "warning": 2, "metrics": {"step": "a"}}
    called = merged(marked, {"interrupt": "save", "metrics": {"loss": "b"}})
    assert called == {"interrupt": ("save",), "warning": 2, "metrics": {"step": "a", "loss": "b"}}
    assert merged(called, {"interrupt": ["save", "5s"]})["interrupt"] == ("save", "5s")
