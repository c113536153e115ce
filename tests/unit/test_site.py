"""The pages of the site keep up with the source."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = {
    "no-{name}": ("energy", "forces"),
    "{what}-sign": ("force", "energy", "stress"),
    "{what}-unit": ("force", "energy", "stress"),
    "{what}-unlike-base": ("force", "energy", "stress"),
    "{other.name}-in-train": ("valid", "test"),
    "{other.name}-near-train": ("valid", "test"),
}
"""Code with a variable part -> values of that part."""


def finding_codes() -> set[str]:
    """Codes of all findings in the source of the audit."""
    codes = set()
    for path in (ROOT / "src" / "equisparse" / "data" / "audit").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "finding":
                code = ast.unparse(node.args[1]).removeprefix("f").strip("'\"")
                codes |= {re.sub(r"\{.*\}", value, code) for value in KINDS.get(code, ("",))}
    return codes


def test_every_finding_has_a_section() -> None:
    page = (ROOT / "docs" / "findings.md").read_text()
    sections = re.findall(r"^### `([\w-]+)` \{#\1\}$", page, re.MULTILINE)
    assert len(sections) == len(set(sections))
    assert set(sections) == finding_codes()


def test_every_page_is_in_the_navigation() -> None:
    navigation = re.findall(r"- ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= set(navigation)


@pytest.mark.parametrize("script", sorted((ROOT / "docs" / "tutorials").glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_outputs_are_those_of_the_tutorial(script: Path) -> None:
    """Otherwise: nox -s tutorials -- --record docs/tutorials/NAME.py."""
    parts = re.split(r"^# %%(.*)\n", script.read_text(), flags=re.MULTILINE)
    code = [body.strip("\n") for kind, body in zip(parts[1::2], parts[2::2], strict=True) if not kind]
    record = json.loads((script.parent / "outputs" / f"{script.stem}.json").read_text())
    assert [cell["code"] for cell in record["cells"]] == code
    assert record["seconds"] < 120, "a tutorial takes less than two minutes"


def test_outputs_have_a_tutorial() -> None:
    tutorials = ROOT / "docs" / "tutorials"
    assert all((tutorials / f"{path.stem}.py").exists() for path in (tutorials / "outputs").iterdir())
