"""All the reports of a finished run: of every kind of run, from its folder alone, and never at the verdict's cost."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from simulator.app.simulate import show_again
from simulator.reports import render as render_module
from simulator.reports.finished import read_run
from simulator.reports.folder import RunFolder
from simulator.reports.render import RENDERED, render
from tests.reports import runs
from tests.reports.story import record, story


def shown_again(folder: Path) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = show_again(folder)
    return int(code), out.getvalue(), err.getvalue()


@pytest.fixture
def broken(monkeypatch):
    def fail(run: object, warn: object) -> str:
        raise ZeroDivisionError("a bug in a picture")

    monkeypatch.setattr(render_module, "RENDERED", {**RENDERED, "report.html": fail})


@pytest.mark.parametrize("kind", runs.KINDS)
def test_every_kind_of_run_has_all_reports(tmp_path, kind):
    folder = runs.KINDS[kind](tmp_path / "run")
    assert render(read_run(folder)) == []
    assert all((folder / name).stat().st_size > 100 for name in RENDERED)


def test_a_run_is_rendered_again_from_its_folder_and_the_same(tmp_path):
    folder = runs.survived(tmp_path / "run")
    shown_again(folder)
    before = {name: (folder / name).read_bytes() for name in RENDERED}
    for name in RENDERED:
        (folder / name).unlink()
    code, out, err = shown_again(folder)
    assert {name: (folder / name).read_bytes() for name in RENDERED} == before
    assert (code, err) == (0, "")
    assert out.rstrip().endswith(f"{folder}/report.html")


def test_a_run_whose_simulator_was_killed_is_rendered_too(tmp_path):
    folder = runs.salvaged(tmp_path / "run")
    assert shown_again(folder)[0] == 3
    assert "Cut short" in (folder / "report.html").read_text()


def test_a_renderer_that_fails_is_a_warning_and_changes_nothing_else(tmp_path, broken):
    told: list[str] = []
    folder = RunFolder.create(tmp_path / "run", told.append)
    for event in story():
        folder.on_event(event)
    report = folder.write_report(record())
    assert (report["verdict"], report["exit_code"]) == ("survived", 0)
    assert told == report["warnings"] == ["report.html could not be written: ZeroDivisionError: a bug in a picture"]
    assert json.loads((tmp_path / "run" / "report.json").read_text()) == report
    assert not (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "run" / "junit.xml").exists()


def test_a_run_shown_again_keeps_its_exit_code_when_a_renderer_fails(tmp_path, broken):
    folder = runs.failed(tmp_path / "run")
    code, out, err = shown_again(folder)
    assert code == 1
    assert "a bug in a picture" in err
    assert f"{folder}/report.html" not in out


def test_a_timeline_that_cannot_be_read_back_costs_only_the_reports_for_people(tmp_path, monkeypatch):
    from simulator.reports import folder as folder_module

    def unreadable(path: Path) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(folder_module, "read_run", unreadable)
    report = RunFolder.create(tmp_path / "run").write_report(record())
    assert report["exit_code"] == 0
    assert "too deep" in report["warnings"][-1]


def test_a_disk_that_is_full_by_then_leaves_no_half_of_a_report(tmp_path, monkeypatch):
    folder = runs.survived(tmp_path / "run")
    before = (folder / "junit.xml").read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(render_module.os, "fsync", full)
    assert len(render(read_run(folder))) == len(RENDERED)
    assert (folder / "junit.xml").read_bytes() == before
    assert not list(folder.glob(".*.part"))
