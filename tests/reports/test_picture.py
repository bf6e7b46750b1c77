"""The picture of a run needs nothing from the network."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from simulator.reports.folder import RunFolder, read_run
from simulator.reports.picture import main, picture
from tests.reports.story import record, story


def test_the_picture_is_an_svg_that_fetches_nothing(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    for event in story():
        folder.on_event(event)
    folder.write_report(record())
    drawn = picture(read_run(tmp_path / "run"))
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert set(re.findall(r"https?://[^\"' )]+", drawn)) == {"http://www.w3.org/2000/svg"}
    assert "Survived" in drawn


def test_a_folder_without_a_run_gives_an_error_and_no_picture(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path / "run.svg")]) == 2
    assert "holds no run" in capsys.readouterr().err
    assert not (tmp_path / "run.svg").exists()
