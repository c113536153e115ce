"""The README's commands are those that the program takes, and CI runs its test command."""

import re
import shlex
from pathlib import Path

import pytest

import equisparse
from equisparse.cli.app import name_of, parsed

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
NAMES = {"finetune", "audit", "evaluate", "inspect", "merge", "report", "attribute", "compare", "export"}
NAMES |= {"ensemble", "combine", "diff", "orders", "pick", "probe", "sparsify", "card", "push", "select", "properties"}
NAMES |= {"explore", "search"}
COMMANDS = re.findall(rf"equisparse (?:{'|'.join(NAMES)}) [^\n#`]*", README)


def test_there_are_commands() -> None:
    assert {words.split()[1] for words in COMMANDS} == NAMES


@pytest.mark.parametrize("line", COMMANDS)
def test_command_is_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("train: [frames.extxyz]\n")
    command, *words = shlex.split(line)[1:]
    assert name_of(type(parsed([command, *words]))) == command


def test_python_example_uses_public_names() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    compile(block, "README", "exec")
    used = set(re.findall(r"equisparse\.(\w+)", block))
    assert used
    assert used <= set(equisparse.__all__)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "pip install 'nox[uv]' && nox" in README
    assert "pip install 'nox[uv]' && nox" in (ROOT / ".ci" / "run").read_text()
