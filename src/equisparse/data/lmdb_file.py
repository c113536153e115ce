"""Checks of an LMDB file before it is read: reading beyond the end of one that is cut off ends the whole program."""

from importlib import import_module
from pathlib import Path

from equisparse.errors import DataError

LMDB = ".aselmdb"
"""Suffix of an ASE database in an LMDB file."""

_MAGIC, _MAGIC_AT = b"\xde\xc0\xef\xbe", 16
_NEXT = b"nextid"
"""Entry of every ASE database that has rows."""


def check_lmdb(path: str) -> None:
    """Check that a file is an LMDB, as long as its header says, and an ASE database.

    Raises
    ------
    DataError
        If it has entries, but no rows of ASE.
    ImportError
        If the packages that read it are not installed.
    ValueError
        If it is cut off.
    """
    import_module("ase_db_backends.aselmdb")
    lmdb = import_module("lmdb")
    environment = lmdb.open(path, subdir=False, readonly=True, lock=False)
    try:
        length = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
        present = Path(path).stat().st_size
        if present < length:
            raise ValueError(f"the file is cut off: {present} of {length} bytes are there")
        with environment.begin() as reader:
            foreign = environment.stat()["entries"] and reader.get(_NEXT) is None
    finally:
        environment.close()
    if foreign:
        raise _not_of_ase(path)


def refuse_other_lmdb(path: str) -> None:
    """Refuse an LMDB file whose name does not say that it is an ASE database.

    Raises
    ------
    DataError
        If it is one.
    """
    with Path(path).open("rb") as file:
        start = file.read(_MAGIC_AT + len(_MAGIC))
    if start[_MAGIC_AT:] == _MAGIC and not path.endswith(LMDB):
        raise _not_of_ase(path)


def _not_of_ase(path: str) -> DataError:
    """Error for an LMDB file of another program."""
    return DataError(
        f"{path} is an LMDB file, but no ASE database.",
        expected=f"rows of ASE, in a file whose name ends in {LMDB}",
        cause="graphs of another program, such as the .lmdb files of the Open Catalyst Project",
        next_step=f"rename it to end in {LMDB} if ASE or fairchem wrote it as such; else convert it to extxyz with the "
        "program that wrote it",
    )
