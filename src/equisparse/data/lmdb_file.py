"""Check of an LMDB file before it is read: reading beyond the end of one that is cut off ends the whole program."""

from importlib import import_module
from pathlib import Path


def check_lmdb(path: str) -> None:
    """Check that a file is an LMDB and as long as its header says.

    Raises
    ------
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
    finally:
        environment.close()
    present = Path(path).stat().st_size
    if present < length:
        raise ValueError(f"the file is cut off: {present} of {length} bytes are there")
