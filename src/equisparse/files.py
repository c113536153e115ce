"""Files that are written whole or not at all."""

import csv
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from equisparse.errors import EquisparseError, WriteError


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file beside `path`; it replaces `path` when the block ends, and is removed if the block fails.

    Parameters
    ----------
    path : Path
        Target; its folder has to be there.

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
    """Make a folder, and those above it, if it does not exist; return the same path.

    Raises
    ------
    WriteError
        If it cannot be made.
    """
    with _write_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Raise failures of the file system within the block as a WriteError about `path`."""
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
            next_step="make room or choose another place; a fine-tune goes on from its last epoch with --resume",
        ) from error


def _system_error(error: BaseException | None) -> OSError | None:
    """The failure of the file system that an error is or came from: archives fail again when they are closed."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def write_text(path: Path, text: str) -> None:
    """Replace a text file by `text`, UTF-8."""
    with replacing(path) as file:
        file.write(text.encode())


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV, all at once; columns are those of the first row, and None is an empty field."""
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, fieldnames=list(rows[0]), extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, table.getvalue())
