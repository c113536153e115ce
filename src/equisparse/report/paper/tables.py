"""Tables as comma-separated values and as LaTeX."""

import csv
import io

from equisparse.report.table import Table

_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u00b2": r"\textsuperscript{2}",
    ">": r"\textgreater{}",
    "<": r"\textless{}",
}


def csv_text(table: Table) -> str:
    """Comma-separated values, quoted where necessary."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([table.header, *table.texts()])
    return text.getvalue()


def latex_text(table: Table) -> str:
    """LaTeX ``tabular`` with rules of the package booktabs; columns of numbers are aligned to the right."""
    lines = [" & ".join(map(_escaped, row)) + r" \\" for row in [table.header, *table.texts()]]
    columns = "".join("r" if numeric else "l" for numeric in table.numeric())
    begin = rf"\begin{{tabular}}{{{columns}}}"
    return "\n".join([begin, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}", ""])


def _escaped(text: str) -> str:
    """Text with the special characters of LaTeX escaped."""
    return "".join(_LATEX.get(sign, sign) for sign in str(text))
