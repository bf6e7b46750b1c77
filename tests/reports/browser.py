"""A headless Chromium for tests and screenshots: a page opened at a width, light or dark, and what it did."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def found() -> tuple[str, str] | None:
    """The browser and its driver, None where one is missing. Nothing is ever downloaded."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Page:
    """One browser; every `open` is a fresh page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def open(self, file: Path, width: int = 1100, scheme: str = "light") -> None:
        """Open a file. `scheme` is what the reader's system prefers."""
        self.visit(file.resolve().as_uri(), width, scheme)

    def visit(self, url: str, width: int = 1100, scheme: str = "light") -> None:
        """Open what a server on this machine gives."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self._driver.get("about:blank")
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        preference = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", preference)
        self._driver.get_log("browser")
        self._driver.get_log("performance")
        self._driver.get(url)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self._driver.execute_script(f"return {expression}")

    def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self._driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": key})

    def complaints(self) -> list[str]:
        """What the console said."""
        return [entry["message"] for entry in self._driver.get_log("browser")]

    def requests(self) -> list[str]:
        """What the page asked for since it was opened, the page itself included."""
        messages = [json.loads(entry["message"])["message"] for entry in self._driver.get_log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def tree(self) -> list[dict[str, Any]]:
        """What a screen reader is told: every node of the accessibility tree that is not ignored."""
        self._driver.execute_cdp_cmd("Accessibility.enable", {})
        nodes = self._driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        return [node for node in nodes if not node.get("ignored")]

    def picture(self, height: int | None = None) -> bytes:
        """The whole page as a PNG, or so much of its top."""
        size = self._driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height or 20_000), "scale": 1}
        shot = self._driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        return base64.b64decode(shot["data"])


@contextmanager
def browser() -> Iterator[Page]:
    """A browser, closed at the end."""
    here = found()
    if here is None:
        raise RuntimeError("there is no Chromium with chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = here[0]
    arguments = ["--headless=new", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"]
    for argument in arguments + (["--no-sandbox"] if os.geteuid() == 0 else []):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(here[1]))
    try:
        yield Page(driver)
    finally:
        driver.quit()
