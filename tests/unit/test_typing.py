"""A strict type checker knows the type of every expression of a user's script."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "typing" / "user_script.py"


def check(script: Path) -> subprocess.CompletedProcess[str]:
    """Run mypy on a script with the options of the project, and more."""
    pytest.importorskip("mypy", reason="the extra lint is not installed")
    words = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--disallow-any-expr"]
    words += ["--follow-imports", "silent", "--cache-dir", str(ROOT / ".mypy_cache"), str(script)]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)


def test_there_is_no_any_in_a_users_script() -> None:
    done = check(SCRIPT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('equisparse.finetune("demo", epoch=3)', "epoch"),
        ('equisparse.finetune("demo", epochs="3")', "incompatible type"),
        ("equisparse.finetune()", "train"),
        ('equisparse.evaluate("demo").energy', "no attribute"),
    ],
)
def test_mistakes_are_seen(tmp_path: Path, line: str, complaint: str) -> None:
    script = tmp_path / "wrong.py"
    script.write_text(f"import equisparse\n\n{line}\n")
    done = check(script)
    assert done.returncode == 1
    assert complaint in done.stdout
