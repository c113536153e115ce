"""Data files that names, globs and packaged sets stand for."""

import glob
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from equisparse.data.demo import demo_paths, is_demo
from equisparse.data.foreign import refuse_deepmd_folder
from equisparse.data.parquet import PARQUET
from equisparse.errors import DataError

_MAGIC = ("*", "?", "[")


def find_files(pattern: str | Path | Sequence[str | Path]) -> list[str]:
    """Files that one or more names or globs match, without duplicates.

    Raises
    ------
    DataError
        If one of them matches no file.
    """
    patterns = [pattern] if isinstance(pattern, str | Path) else list(pattern)
    if not patterns:
        raise DataError(
            "No data file is given.",
            expected="one or more files or globs",
            next_step="give a file or a glob, such as 'train/*.xyz'",
        )
    return list(dict.fromkeys(path for text in patterns for path in _expand(str(text))))


def _expand(pattern: str) -> list[str]:
    """Files that one name or glob matches."""
    if Path(pattern).is_file():
        return [pattern]
    if is_demo(pattern):
        return demo_paths(pattern)
    if Path(pattern).is_dir():
        if tables := sorted(map(str, Path(pattern).rglob(f"*{PARQUET}"))):
            return tables
        refuse_deepmd_folder(pattern)
        raise DataError(
            "A data file is a folder.",
            given=pattern,
            expected="a file, a glob, or a folder of Parquet files",
            next_step=f"name the files: {pattern.rstrip('/')}/*",
        )
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207  Path.glob accepts no absolute pattern
    files = sorted(path for path in matches if Path(path).is_file())
    if not files:
        raise DataError(
            f"No file matches {pattern!r}.",
            given=f"{pattern!r}, relative to {Path.cwd()}",
            expected="an existing file, a glob, demo or demo-spin",
            cause="a misspelt name, or another working directory",
            next_step=_nearest_file(pattern) or "check the name and the folder",
        )
    return files


def _nearest_file(pattern: str) -> str:
    """Advice about a name that matches no file: a missing folder, or a file with a similar name."""
    folder = Path(pattern).parent
    if not folder.is_dir():
        return "" if any(mark in str(folder) for mark in _MAGIC) else f"there is no folder {str(folder)!r}"
    near = get_close_matches(Path(pattern).name, [entry.name for entry in folder.iterdir()], n=1, cutoff=0.6)
    return f"did you mean {str(folder / near[0])!r}?" if near else ""
