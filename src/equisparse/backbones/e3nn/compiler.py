"""Compiled loops: the C++ compiler of the machine makes a library once, which stays in the cache of the user.

The source needs no headers of torch, so this takes a few seconds. The instructions are those that torch uses on the
processor, and the threads are those of torch.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from equisparse.errors import BackboneError
from equisparse.files import cache_folder, replacing

_SOURCE = Path(__file__).parent / "convolution.cpp"
_COMPILERS = ("g++", "clang++", "c++")
"""Names of compilers, if the environment variable CXX names none."""
_INSTRUCTIONS = {
    "AVX512": ("-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mavx2", "-mfma"),
    "AVX2": ("-mavx2", "-mfma"),
}
"""Instructions that torch uses on this processor -> flags."""
PRECISIONS = {torch.float32: ("-DSINGLE",), torch.float64: ()}
"""Precision of a library -> flags."""
_SECONDS = 300
"""Longest wait for the compiler."""


class Library:
    """Compiled functions for one precision.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._functions = ctypes.CDLL(str(path))

    def call(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Call a function with the addresses of contiguous tensors on the CPU.

        Raises
        ------
        MemoryError
            If there is not enough memory.
        """
        addresses = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        if self._functions[name](*addresses):
            raise MemoryError


@functools.cache
def library(dtype: torch.dtype) -> Library:
    """Compiled functions for a precision, from the cache if they are there.

    Raises
    ------
    BackboneError
        If they cannot be compiled or loaded here.
    """
    try:
        return Library(_compiled(dtype))
    except OSError as error:
        raise _not_compiled(str(error)) from error


def _compiled(dtype: torch.dtype) -> Path:
    """Library for a precision in the cache, where it is put if it is not there."""
    command = _command(dtype)
    path = _place(command)
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            built = _built(command, Path(folder))
            with replacing(path) as file:
                file.write(built.read_bytes())
    return path


def _built(command: Sequence[str], folder: Path) -> Path:
    """Compile and link a library in a folder; it is not linked with OpenMP, which torch has loaded already."""
    compiled, linked = folder / "convolution.o", folder / "convolution.so"
    _run([*command, "-c", str(_SOURCE), "-o", str(compiled)])
    _run([command[0], "-shared", str(compiled), "-o", str(linked)])
    return linked


def _command(dtype: torch.dtype) -> list[str]:
    """Compiler and flags for a precision."""
    threads = () if sys.platform == "darwin" else ("-fopenmp",)  # Apple's compiler has no OpenMP
    instructions = _INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), ())
    return [*_compiler(), "-O3", "-std=c++17", "-fPIC", *threads, *instructions, *PRECISIONS[dtype]]


def _compiler() -> list[str]:
    """Compiler, with the flags that the environment variable CXX may have."""
    names = shlex.split(os.environ.get("CXX", "")) or [name for name in _COMPILERS if shutil.which(name)][:1]
    if not names or not shutil.which(names[0]):
        raise _not_compiled(f"no C++ compiler was found: neither CXX nor {', '.join(_COMPILERS)}")
    return names


def _place(command: Sequence[str]) -> Path:
    """File of a library in the cache, whose name depends on source, flags, compiler and system."""
    version = _run([command[0], "--version"])
    parts = [_SOURCE.read_text(), *command, version, platform.machine(), *platform.libc_ver()]
    name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache_folder("compiled") / f"convolution-{name}.so"


def _run(command: Sequence[str]) -> str:
    """Run a command and return what it prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise _not_compiled(f"{command[0]} took longer than {_SECONDS} seconds") from error
    if done.returncode:
        lines = done.stderr.splitlines() or ["no message"]
        raise _not_compiled(next((line for line in lines if "error" in line), lines[0]))
    return done.stdout


def _not_compiled(cause: str) -> BackboneError:
    """Error for functions that cannot be compiled or loaded."""
    return BackboneError(
        "The convolutions cannot be compiled on this machine.",
        cause=cause,
        next_step="install g++ or clang++, or set CXX to a C++ compiler; or use --compile off",
    )
