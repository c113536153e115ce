"""Errors that this package does not raise on purpose: those of the machine, and those of a fault in the program."""

import os
import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from equisparse import __version__
from equisparse.errors import EquisparseError, StateError, WriteError

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""Phrases in the errors of torch, of a GPU and of a CPU."""
_PACKAGES = ("torch", "e3nn", "ase", "numpy", "lightning", "cyclopts", "sevenn", "mace-torch", "nequip", "safetensors")


def told(error: Exception, words: Sequence[str]) -> EquisparseError:
    """Error of ours for one that is not: the memory, the file system, or a fault, which is written to a file.

    Parameters
    ----------
    error : Exception
        Any error.
    words : sequence of str
        Words of the command line.
    """
    if isinstance(error, MemoryError) or any(phrase in str(error).lower() for phrase in _OUT_OF_MEMORY):
        return StateError(
            "The memory of the machine or of its GPU is not enough.",
            cause=_first_line(error),
            next_step="use smaller frames, a smaller --batch-size or a machine with more memory; a fine-tune continues "
            "with --resume",
        )
    if isinstance(error, OSError) and error.filename is not None:
        return WriteError(
            "A file cannot be read or written.",
            given=str(error.filename),
            cause=error.strerror or _first_line(error),
            next_step="check the path, the permissions and the free space",
        )
    path = write_crash(error, words)
    return StateError(
        "The program failed, and it should have told what is wrong with its input.",
        given=command_line(words),
        cause=_first_line(error),
        next_step=f"report it with the file {path}, which has the versions, the command and the traceback",
    )


def write_crash(error: BaseException, words: Sequence[str]) -> Path:
    """Write a file about an error, to this folder or, if that cannot be written, to that of temporary files."""
    now = datetime.now(UTC)
    lines = [
        f"equisparse {__version__} failed at {now:%Y-%m-%d %H:%M:%S} UTC",
        f"command: {command_line(words)}",
        f"python {platform.python_version()} on {platform.platform()}, {os.cpu_count()} CPUs",
        *(f"{name} {version}" for name, version in _versions().items()),
        "",
        *traceback.format_exception(error),
    ]
    name = f"equisparse-crash-{now:%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        try:
            (folder / name).write_text("\n".join(lines), encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return folder / name
    print("\n".join(lines), file=sys.stderr)
    return Path("the lines above")


def command_line(words: Sequence[str]) -> str:
    """Command as it can be typed again."""
    return shlex.join(["equisparse", *words])


def _versions() -> dict[str, str]:
    """Versions of the installed packages that matter."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _first_line(error: BaseException) -> str:
    """Kind and first line of an error."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'no message')}"
