"""What this package does not raise on purpose: told in its own words, and faults are written to a file."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import equisparse
from equisparse.cli import _print_anything, main
from equisparse.cli.app import parsed
from equisparse.cli.commands.adapter import Inspect
from equisparse.cli.commands.train import Finetune
from equisparse.cli.terminal import Terminal
from equisparse.errors import InputError
from equisparse.run.folder import Run


def raising(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command inspect raise an error."""

    def run(self: Inspect, terminal: Terminal) -> int:
        raise error

    monkeypatch.setattr(Inspect, "run", run)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2\nshapes"), KeyError("x"), AssertionError(), ValueError()]
)
def test_a_fault_leaves_a_file_and_no_traceback(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(error, monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", "an adapter"]) == 1
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert type(error).__name__ in told
    (file,) = tmp_path.iterdir()
    assert str(file) in told
    text = file.read_text(encoding="utf-8")
    assert f"equisparse {equisparse.__version__}" in text
    assert "command: equisparse inspect 'an adapter'" in text
    assert "torch " in text
    assert "Traceback" in text
    assert main(["inspect", "x", "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_where_nothing_can_be_written_the_file_goes_to_temporary_files_or_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(RuntimeError("fault"), monkeypatch)
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "missing")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert main(["inspect", "x"]) == 1
    assert len(list(tmp_path.glob("equisparse-crash-*.txt"))) == 1
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "missing"))
    assert main(["inspect", "x"]) == 1
    assert "RuntimeError: fault\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a.xyz"), "Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device", "b.png"), "No space left"),
        (MemoryError(), "--batch-size"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), "memory"),
    ],
)
def test_faults_of_the_machine_are_told_without_a_file(
    error: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(error, monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", "x"]) == 1
    told = capsys.readouterr().err
    assert words in told
    assert "next step" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_character_can_be_printed(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    _print_anything(stream)
    stream.write("Ångström → 氧化镁.xyz")
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert text == "Ångström → 氧化镁.xyz" or "\\u6c27" in text


def test_a_terminal_of_another_encoding_gets_errors_and_tables(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "COLUMNS": "80"}
    for words, code in ((["--help"], 0), (["inspect", str(tmp_path / "氧化镁 → Å")], 2)):
        done = subprocess.run(
            [sys.executable, "-m", "equisparse", *words], capture_output=True, env=environment, check=False
        )
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr


def test_a_reader_that_ends_early_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "equisparse", "finetune", "--help"]
    done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.stderr == b""


def test_what_yaml_cannot_read_is_a_text() -> None:
    for value in ("[1", "{", "'x", "\t%"):
        command = parsed(["finetune", "a.xyz", "--method-options.rank", value])
        assert isinstance(command, Finetune)
        assert command.method_options == {"rank": value}


def test_results_that_are_not_there_yet_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not written yet"):
        _ = Run(tmp_path).metrics
