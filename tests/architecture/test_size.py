"""Functions and modules stay short."""

import ast

import numpy as np

MODULE, LONGEST, MOST, HALF = 350, 60, 25, 8
"""Lines of the longest module, of the longest function, of nine functions in ten, and of every other function."""


def body_lines(function):
    """Lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_modules_stay_short(modules):
    lengths = {module.name: len(module.path.read_text().splitlines()) for module in modules}
    assert not {name: lines for name, lines in lengths.items() if lines > MODULE}


def test_functions_stay_short(functions):
    lengths = {found.name: body_lines(found.node) for found in functions}
    assert not {name: lines for name, lines in lengths.items() if lines > LONGEST}
    half, most = np.percentile(list(lengths.values()), [50, 90])
    assert half <= HALF
    assert most <= MOST
