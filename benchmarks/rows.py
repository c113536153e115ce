"""Files of results: one JSON object a line, added at the end; of two rows of a cell the later one counts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def rows_of(path: Path) -> list[dict[str, Any]]:
    """All rows; none if there is no file yet."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add_row(path: Path, row: Mapping[str, Any]) -> None:
    """Print a row and append it."""
    print(json.dumps(row), flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
