"""Files that are written whole or not at all."""

import csv
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from equisparse.errors import EquisparseError, WriteError


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file to write to, beside `path`; it takes its place when the block ends, and is gone if the block fails.

    Parameters
    ----------
    path : Path
        Target; its folder has to be there.

    Raises
    ------
    WriteError
        If the disk or the folder does not take it.
    """
    with _told(path):
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
    """The same folder, made with those above it if it is not there.

    Raises
    ------
    WriteError
        If it cannot be made.
    """
    with _told(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Failures of the file system within the block become a WriteError about `path`."""
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


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, all at once; columns are those of the first row, and None is an empty field."""
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, fieldnames=list(rows[0]), extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, table.getvalue())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV file: whole numbers as int, other numbers as float, empty fields as None, the rest as text."""
    with path.open(newline="") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> int | float | str | None:
    """What a field of a CSV file stands for."""
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        return float(text)
    return text or None
