"""What `spot-simulator rules` prints: a rule's page, which docs/rules/ holds word for word."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from simulator.checks import RULES, Rule
from simulator.core.errors import EnvironmentFailure, UsageError

INDEX = "README.md"
WIDTH = 100
WRITE_PAGES = "spot-simulator rules --pages docs/rules"


def explain(rule_id: str | None) -> str:
    """The table of rules, or all of one. Raises UsageError for an unknown id."""
    if rule_id is None:
        return "\n".join(f"{rule.id}  {rule.name:24}  {rule.summary}" for rule in RULES.values())
    rule = RULES.get(rule_id.upper())
    if rule is None:
        raise UsageError(
            f"there is no rule {rule_id!r}", f"the rules are {', '.join(RULES)}", "list them: spot-simulator rules"
        )
    return page(rule)


def page(rule: Rule) -> str:
    """A rule for people, in Markdown that reads well in a terminal too; no newline at its end."""
    parts = [
        f"# {rule.id} {rule.name}",
        _prose(f"{rule.severity.value.capitalize()}: {rule.summary}."),
        f"## Why\n\n{_prose(rule.why)}",
        f"## Fails\n\n{_code(rule.fails)}",
        f"## Passes\n\n{_code(rule.passes)}",
        f"## Fix\n\n{_fix(rule.fix)}",
        *(f"In {framework.value}:\n\n{_fix(fix)}" for framework, fix in rule.fixes.items()),
        f"## Source\n\n{_prose(rule.source)}",
    ]
    return "\n\n".join(parts)


def pages() -> dict[str, str]:
    """File name → content of every page of docs/rules/."""
    table = "\n".join(
        f"| [{rule.id}]({rule.id}.md) | {rule.name} | {rule.severity.value} | {rule.summary} |"
        for rule in sorted(RULES.values(), key=lambda rule: rule.id)
    )
    index = (
        "# Rules\n\nWhat is checked in every run, each with an example that fails and one that passes. "
        f"Written by `{WRITE_PAGES}`.\n\n| id | name | severity | fires when |\n| --- | --- | --- | --- |\n{table}\n"
    )
    return {INDEX: index} | {f"{rule.id}.md": f"{page(rule)}\n" for rule in RULES.values()}


def write_pages(folder: Path) -> list[str]:
    """Write every page, and remove those of rules that are no more; the names of what changed."""
    wanted = pages()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = {path.name: path.read_text() for path in folder.glob("*.md")}
        stale = [name for name in before if name.startswith("SPOT") and name not in wanted]
        changed = [name for name, text in wanted.items() if before.get(name) != text]
        for name in changed:
            (folder / name).write_text(wanted[name])
        for name in stale:
            (folder / name).unlink()
    except OSError as error:
        raise EnvironmentFailure(f"{folder} cannot be written", str(error), "name another folder") from error
    return sorted([*changed, *stale])


def _prose(text: str) -> str:
    return fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _code(text: str) -> str:
    language = "sh" if text.startswith("#!/bin/sh") else "python"
    return f"```{language}\n{text.rstrip()}\n```"


def _fix(fix: str) -> str:
    """A fix as a diff: its words stay words, its indented lines become a code block."""
    blocks: list[tuple[bool, list[str]]] = []
    for line in fix.splitlines():
        is_code = line.startswith("  ")
        if not blocks or blocks[-1][0] is not is_code:
            blocks.append((is_code, []))
        blocks[-1][1].append(line)
    texts = []
    for is_code, lines in blocks:
        # "  + new", "  - old" and "    same" are a diff once two of the spaces are gone.
        texts.append(
            ("```diff\n" + "\n".join(line[2:] for line in lines) + "\n```") if is_code else _prose(" ".join(lines))
        )
    return "\n\n".join(texts)
