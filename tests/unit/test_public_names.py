"""Every public name can be imported where no backbone is installed, and says what it is."""

import subprocess
import sys

import pytest

import equisparse

BACKBONES = ("sevenn", "mace", "nequip", "e3nn", "torch_geometric")


@pytest.mark.parametrize("name", equisparse.__all__)
def test_name_is_there_and_documented(name):
    found = getattr(equisparse, name)
    assert name == "__version__" or found.__doc__


def test_importing_them_needs_no_backbone():
    blocked = "; ".join(
        f"sys.modules[{name!r}] = None" for name in BACKBONES
    )  # importing one fails, if installed or not
    program = f"import sys; {blocked}; import equisparse; [getattr(equisparse, name) for name in equisparse.__all__]"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
