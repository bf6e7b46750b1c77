"""What a test asks for by its `interrupt` markers and by keywords: one mapping of settings, the nearer word wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

MARKER = "interrupt"

_TEXTS = ("hyperparameters", "environment", "metrics")  # maps whose values are texts, however they were written


def is_marked(item: pytest.Item) -> bool:
    """Whether the test itself (not only its class or module, which may hold other tests too) is marked."""
    return any(mark.name == MARKER for mark in item.own_markers)


def marked_settings(item: pytest.Item) -> dict[str, Any]:
    """The settings of all markers, from the module's to the test's. Where a level names moments, they replace those of
    the levels around it; markers stacked on one test interrupt one attempt after another, from top to bottom."""
    settings: dict[str, Any] = {}
    for node in item.listchain():
        marks = [mark for mark in reversed(node.own_markers) if mark.name == MARKER]  # the lowest decorator comes first
        for mark in marks:
            settings = merged(settings, mark.kwargs)
        if moments := tuple(moment for mark in marks for moment in mark.args):
            settings["interrupt"] = moments
    return settings


def merged(settings: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both, the second on top; maps (hyperparameters, metrics …) key by key, as options and files are merged."""
    from simulator.core.plan import gives_notice

    result = dict(settings)
    for name, value in over.items():
        plain = _plain(name, value)
        before = result.get(name)
        both_maps = isinstance(before, Mapping) and isinstance(plain, Mapping)
        result[name] = {**before, **plain} if both_maps else plain  # type: ignore[dict-item]
    if "warning" not in over and "profile" in over and not gives_notice(str(over["profile"])):
        result.pop("warning", None)  # it was meant for another profile
    return result


def _plain(name: str, value: Any) -> Any:
    """A setting as people write it in a test: one moment without its tuple, numbers as hyperparameters."""
    if name == "interrupt" and isinstance(value, str):
        return (value,)
    if name == "interrupt" and isinstance(value, list):
        return tuple(value)
    if name in _TEXTS and isinstance(value, Mapping):
        return {key: str(inner) for key, inner in value.items()}
    return value
