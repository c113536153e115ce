"""Plugin of ASE: the calculator has the name ``equisparse`` there, by the entry point of the group ``ase.plugins``.

ASE 3.26 to 3.29 load this module when their plugins are first used, for example by ``ase info --plugins``. Nothing here
imports torch before a calculator is made.
"""

from typing import Any

from ase.calculators.calculator import Calculator, external_calculators

NAME = "equisparse"
"""Name of the calculator in ASE."""


class EquisparseCalculator(Calculator):
    """The calculator of `equisparse.calculator` as a class, which ASE and programs around it look up by name.

    Parameters are those of `equisparse.calculator`. The object is the calculator that it returns, of another class: the
    class depends on the adapter.

    Examples
    --------
    >>> from ase.calculators.calculator import get_calculator_class
    >>> get_calculator_class("equisparse").__name__
    'EquisparseCalculator'
    """

    nolabel = True
    """ASE gives it no name of files, since it writes none."""

    def __new__(cls, *arguments: Any, **options: Any) -> Calculator:  # type: ignore[misc]
        """Make the calculator."""
        from equisparse.tasks.calculator import calculator

        return calculator(*arguments, **options)


def _plugins() -> frozenset[object]:
    """Plugins in ASE's form; none if ASE has no plugins, or they have moved: its plugin system is experimental."""
    try:
        from ase._4.plugins.plugin import CalculatorPlugin
    except ImportError:
        return frozenset()
    implementation = f"{__name__}.{EquisparseCalculator.__name__}"
    return frozenset({CalculatorPlugin(NAME, citation="arXiv:2606.18691", implementation=implementation)})


external_calculators.setdefault(NAME, EquisparseCalculator)  # for get_calculator_class, which knows no plugins yet
__ase_plugins__ = _plugins()
