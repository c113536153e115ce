"""Rooms import in one direction only; the contracts are in pyproject.toml."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_import_contracts():
    pytest.importorskip("importlinter", reason="the extra lint is not installed")
    from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

    assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS, "see the chains above"


def test_modules_stay_short():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "src").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long, "a module has at most 400 lines"
