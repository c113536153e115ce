"""A strict type checker sees a user's mistakes. That it knows the type of every expression of a script without any,
``mypy`` of the lint session says: `user_script.py` allows no Any."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MISTAKES = {
    'equisparse.finetune("demo", epoch=3)': "epoch",
    'equisparse.finetune("demo", epochs="3")': "incompatible type",
    "equisparse.finetune()": "train",
    'equisparse.evaluate("demo").energy': "no attribute",
}
"""Line of a script -> what the type checker says of it."""


def test_mistakes_are_seen(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="the extra lint is not installed")
    script = tmp_path / "wrong.py"
    script.write_text("\n".join(["import equisparse", *MISTAKES]))
    words = [sys.executable, "-m", "mypy", "--cache-dir", str(ROOT / ".mypy_cache"), str(script)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    for number, complaint in enumerate(MISTAKES.values(), 2):
        assert any(f"wrong.py:{number}: error" in line and complaint in line for line in done.stdout.splitlines())
