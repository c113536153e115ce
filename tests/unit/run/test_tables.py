"""Tables keep the types of their rows; damaged ones are refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from equisparse.errors import InputError
from equisparse.run.tables import TableFile


@dataclass(frozen=True)
class Row:
    """One field of every type."""

    name: str
    group: str | int
    count: int
    value: float | None
    whole: bool
    level: Literal["pass", "fail"]


ROWS = [
    Row("1_000", "1_000", 1, None, whole=True, level="pass"),
    Row("True", -1, 2, 0.1, whole=False, level="fail"),
    Row("", "01", 3, float("inf"), whole=False, level="fail"),
    Row('a, "b"\nc', "nan", 4, 1e-300, whole=True, level="pass"),
]


@pytest.fixture
def table(tmp_path: Path) -> TableFile[Row]:
    """A table in a folder that does not exist yet."""
    return TableFile(tmp_path / "folder" / "table.csv", Row)


def test_rows_come_back_with_their_types(table: TableFile[Row]) -> None:
    table.write(ROWS)
    assert table.read() == ROWS
    assert table.path.read_text().splitlines()[0] == "name,group,count,value,whole,level"


def test_a_table_without_rows_and_one_that_does_not_exist_are_empty(table: TableFile[Row]) -> None:
    assert table.read() == []
    table.write([])
    assert table.read() == []


@pytest.mark.parametrize(
    "line", ["a,b,c,1,True,pass", "a,b,1,x,True,pass", "a,b,1,1,yes,pass", "a,b,1,1,True,other", "a,b"]
)
def test_a_field_of_another_type_is_refused(table: TableFile[Row], line: str) -> None:
    table.write(ROWS)
    table.path.write_text(f"{','.join(table.columns)}\n{line}\n")
    with pytest.raises(InputError, match="damaged"):
        table.read()


def test_a_missing_column_is_refused_and_a_further_one_ignored(table: TableFile[Row]) -> None:
    table.write(ROWS[:1])
    text = table.path.read_text()
    table.path.write_text(text.replace("level", "other"))
    with pytest.raises(InputError, match="level"):
        table.read()
    header, line = text.splitlines()
    table.path.write_text(f"{header},more\n{line},5\n")
    assert table.read() == ROWS[:1]
