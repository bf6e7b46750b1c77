"""What the sessions inside these tests start from."""

from __future__ import annotations

import pytest

from tests.app.harness import ROOT


@pytest.fixture(autouse=True)
def plain_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions get the plugin of this checkout, by name; no other, and not an installed one under another name."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
