"""The README's lines of Python run as they stand, in an empty folder with a file of frames."""

import ast
import re
from pathlib import Path

import ase.io
import pytest

from equisparse.data.demo import demo_files

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")
README = Path(__file__).parents[2] / "README.md"


def shortened(program: str, base: str) -> ast.Module:
    """The program on a small base, with two epochs in its fine-tune; test_finetune.py has a run on 7net-0."""
    assert program.count('"7net-0"') == 3
    tree = ast.parse(program.replace('"7net-0"', repr(base)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "equisparse.finetune":
            node.keywords += [ast.keyword(name, ast.Constant(2)) for name in ("epochs", "batch_size")]
    return ast.fix_missing_locations(tree)


def test_python_lines(
    small_base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ase.io.write("frames.extxyz", ase.io.read(demo_files().train, ":8"))
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(shortened(program, small_base), "README.md", "exec"), {})  # noqa: S102 - our own text
    energy = float(capsys.readouterr().out.split()[-1])
    assert energy < 0
