"""Files that are written completely or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from equisparse.errors import EquisparseError, StateError, WriteError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary binary file, which replaces `path` when the block ends and is removed if the block fails.

    Parameters
    ----------
    path : Path
        File to write; its folder must exist.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    with _write_errors(path):
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(part, 0o644)
            os.replace(part, path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise


def make_folder(path: Path) -> Path:
    """Make a folder and its parents if they do not exist, and return the path.

    Raises
    ------
    WriteError
        If the folder cannot be made.
    """
    with _write_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def cache_folder(name: str) -> Path:
    """Make a folder of this package in the user's cache if it does not exist, and return its path.

    Raises
    ------
    WriteError
        If the folder cannot be made.
    """
    return make_folder(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "equisparse" / name)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder within the block, so that no other process that uses this function works in it.

    The system ends the hold with the process, however that ends. Where it cannot hold folders, nothing is checked.

    Parameters
    ----------
    folder : Path
        An existing folder.

    Raises
    ------
    StateError
        If another process holds it.
    """
    handle = None if fcntl is None else os.open(folder, os.O_RDONLY)
    try:
        if handle is not None:
            _hold(handle, folder)
        yield
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Raise errors of the file system within the block as a WriteError about `path`."""
    try:
        yield
    except EquisparseError:
        raise
    except Exception as error:
        if (cause := _system_error(error)) is None:
            raise
        raise WriteError(
            "A file cannot be written; nothing is left half-written.",
            given=str(path),
            cause=cause.strerror or str(cause),
            next_step="free some space or choose another place; --resume continues a fine-tune from its last epoch",
        ) from error


def _hold(handle: int, folder: Path) -> None:
    """Hold an opened folder until the handle is closed."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StateError(
            "Another process works in this folder.",
            given=str(folder),
            cause="a fine-tune that still runs, or several processes that a launcher started without --devices",
            next_step="wait for it or choose another --out; to train on several processes, set --devices and "
            "--num-nodes",
        ) from error
    except OSError:
        return  # a file system without such holds


def _system_error(error: BaseException | None) -> OSError | None:
    """Error of the file system that an error is or was caused by; closing an archive can raise a second error."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def write_text(path: Path, text: str) -> None:
    """Replace a text file by `text`, UTF-8."""
    with replacing(path) as file:
        file.write(text.encode())


def write_copy(source: Path, path: Path) -> None:
    """Replace a file by a copy of another one."""
    with source.open("rb") as original, replacing(path) as file:
        shutil.copyfileobj(original, file)
