"""report.json against its published schema: every kind of run, and no field that the schema does not know."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from simulator.core.attempt import Outcome
from simulator.core.errors import ExitCode
from simulator.core.plan import ExitAfterSigterm
from simulator.explore.coverage import Stop
from simulator.explore.strip import Deed
from simulator.explore.trial import Outcome as TrialOutcome
from simulator.explore.trial import Search
from simulator.reports.finished import read_run
from simulator.reports.json_report import SCHEMA_VERSION, build_report
from simulator.verdict import Answer
from tests.reports import runs
from tests.reports.story import record

SCHEMA = json.loads(files("simulator.reports").joinpath("report.schema.json").read_text())


def closed(schema: Any) -> Any:
    """The schema without its openness to later versions: objects hold only the fields that it names. Maps, AWS's
    answer and a rule's evidence say themselves (`additionalProperties`) what else they hold."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if "properties" in made and isinstance(made["properties"], dict) and "additionalProperties" not in made:
        made["additionalProperties"] = False
    return made


def errors(report: Any, schema: Any = SCHEMA) -> list[str]:
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    return [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in validator.iter_errors(report)]


def without(report: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(report)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    return changed


def own_fields(value: Any, schema: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a report has a field that its schema requires."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    for one in schema.get("anyOf", ()):
        yield from own_fields(value, one, path)
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                if name in schema.get("required", ()):
                    yield (*path, name)
                yield from own_fields(value[name], inner, (*path, name))
    if isinstance(value, list) and value and "items" in schema:
        yield from own_fields(value[0], schema["items"], (*path, 0))


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("kind", runs.KINDS)
def test_every_kind_of_report_is_valid_and_has_no_field_that_the_schema_does_not_name(kind):
    report = read_run(runs.kept(kind)).report
    assert errors(report, closed(SCHEMA)) == []


def test_the_report_in_the_docs_is_valid():
    example = Path(__file__).parents[2] / "docs" / "example-run" / "report.json"
    assert errors(json.loads(example.read_text())) == []


@pytest.mark.parametrize("where", [(), ("attempts", 0), ("attempts", 0, "uploads"), ("losses",), ("plan", "profile")])
def test_a_field_that_is_added_without_the_schema_is_found(where):
    report = build_report(record())
    holder = report
    for key in where:
        holder = holder[key]
    holder["a_new_field"] = 1
    assert errors(report, closed(SCHEMA)) != []
    assert errors(report) == []  # readers of this version read later ones


@pytest.mark.parametrize(("kind", "least"), [("survived", 90), ("searched", 130)])
def test_a_field_that_goes_is_found(kind, least):
    report = read_run(runs.kept(kind)).report
    paths = set(own_fields(report, SCHEMA))
    assert len(paths) > least
    assert [path for path in paths if errors(without(report, path)) == []] == []


def test_what_can_be_said_is_what_the_schema_knows():
    attempt = SCHEMA["$defs"]["attempt"]["properties"]
    assert SCHEMA["properties"]["verdict"]["enum"] == list(Answer)
    assert SCHEMA["properties"]["exit_code"]["enum"] == list(ExitCode)
    assert attempt["outcome"]["enum"] == [*Outcome, None]
    assert SCHEMA["properties"]["plan"]["properties"]["exit_after_sigterm"]["enum"] == list(ExitAfterSigterm)
    trial, explored = SCHEMA["$defs"]["trial"]["properties"], SCHEMA["$defs"]["explored"]["properties"]
    assert trial["outcome"]["enum"] == explored["counts"]["required"] == list(TrialOutcome)
    assert explored["search"]["enum"] == list(Search) and explored["stopped"]["enum"] == list(Stop)
    assert SCHEMA["$defs"]["explored"]["properties"]["landmarks"]["items"]["properties"]["deed"]["enum"] == list(Deed)
    assert SCHEMA["$id"].endswith(f":{SCHEMA_VERSION.split('.')[0]}")


def test_numbers_that_json_has_not_are_text_that_the_schema_knows():
    from simulator.core.timeline import Event, Kind
    from tests.reports.story import until

    lost = [Event(5, Kind.METRIC, 1, {"name": "loss", "value": float(text)}) for text in ("nan", "-inf")]
    report = build_report(record([*until(5), *lost], partial="cut"))
    assert report["attempts"][0]["metrics"]["loss"] == {"first": "nan", "last": "-inf"}
    assert errors(report, closed(SCHEMA)) == []
    report["attempts"][0]["metrics"]["loss"]["last"] = "lost"
    assert errors(report) != []
