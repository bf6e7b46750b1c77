"""The live page in a real browser: a job is seen, taken away by its button, and its verdict can be opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports.browser import browser
from tests.service.serving import client, name_of, request, serving, until_signalled, wait_until

pytestmark = pytest.mark.browser

PRESS = "(() => {const button = document.querySelector('button'); if (button) button.click(); return !!button})()"


def test_a_job_is_seen_interrupted_by_its_button_and_judged(tmp_path: Path) -> None:
    with serving(tmp_path, until_signalled) as server, browser() as page:
        page.visit(server.endpoint_url + "/")
        name = name_of("page")
        client(server, "sagemaker").create_training_job(**request(name))
        wait_until(lambda: page.ask(PRESS), "the job's button")
        wait_until(lambda: "Interrupted" in page.ask("document.body.innerText"), "the interruption to be seen")
        wait_until(lambda: bool(page.ask("document.querySelector('td a') !== null")), "the verdict")
        report = page.ask("document.querySelector('td a').href")
        assert page.ask("document.querySelector('th[scope=row]').textContent") == name
        assert page.complaints() == []
        page.visit(report)
        assert name in page.ask("document.body.innerText")


def test_a_job_with_several_instances_says_how_many_are_taken_away(tmp_path: Path) -> None:
    with serving(tmp_path, until_signalled) as server, browser() as page:
        page.visit(server.endpoint_url + "/")
        name, resources = name_of("several"), {"InstanceType": "ml.m5.large", "InstanceCount": 3, "VolumeSizeInGB": 5}
        client(server, "sagemaker").create_training_job(**request(name, ResourceConfig=resources))
        wait_until(lambda: "3 instances" in page.ask("document.body.innerText"), "the number of instances")
        wait_until(lambda: page.ask(PRESS), "the job's button")
        wait_until(
            lambda: f"{name}: its 3 instances are being taken away together" in page.ask("said.textContent"),
            "what the button did",
        )
        assert page.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone(tmp_path: Path, scheme: str) -> None:
    with serving(tmp_path, until_signalled) as server, browser() as page:
        page.visit(server.endpoint_url + "/", width=360, scheme=scheme)
        assert page.ask("document.documentElement.scrollWidth") <= 360
