"""A test file that cannot be imported fails."""

import shutil
import subprocess
import sys

import pytest


def test_a_test_file_that_cannot_be_imported_is_an_error(root, tmp_path):
    (tmp_path / "tests").mkdir()
    shutil.copy(root / "pyproject.toml", tmp_path)
    shutil.copy(root / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "tests" / "test_broken.py").write_text("import a_package_that_does_not_exist\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout
    assert "1 error" in done.stdout
