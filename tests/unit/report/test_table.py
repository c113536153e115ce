"""One table gives the same text to all media, and tells numbers from text."""

from markupsafe import Markup

from equisparse.interpret.attribution import Interval
from equisparse.report.html import elements
from equisparse.report.paper.tables import csv_text, latex_text
from equisparse.report.table import Level, Number, Percent, Table

TABLE = Table(
    ["name", "count", "value", "share", "interval", "level"],
    [
        ["<a> & b", 1234, Number(0.5, "{:.2f}", best=True), Percent(0.0301), Interval(1.0, 0.5, 2.0), Level("warn")],
        ["c", 0, Number(None), Percent(None), None, Level("pass")],
    ],
    "Title",
)
TEXTS = [["<a> & b", "1,234", "0.50", "3.01 %", "1 (0.5 to 2)", "warn"], ["c", "0", "-", "-", "-", "pass"]]


def test_cells_as_text_and_numeric_columns() -> None:
    assert TABLE.texts() == TEXTS
    assert TABLE.numeric() == [False, True, True, True, True, False]
    assert Table(["a"], []).numeric() == [False]


def test_html() -> None:
    page = elements.table(TABLE)
    assert "&lt;a&gt; &amp; b" in page
    assert '<td class="number"><strong>0.50</strong></td>' in page
    assert '<span class="level warn">warn</span>' in page
    assert "<caption>Title</caption>" in page
    assert "<b>x</b>" in elements.table(Table(["a"], [[Markup("<b>x</b>")]]))


def test_csv_and_latex() -> None:
    assert csv_text(TABLE).splitlines()[1] == '<a> & b,"1,234",0.50,3.01 %,1 (0.5 to 2),warn'
    lines = latex_text(TABLE).splitlines()
    assert lines[0] == r"\begin{tabular}{lrrrrl}"
    assert lines[4].startswith(r"\textless{}a\textgreater{} \& b & 1,234 & 0.50 & 3.01 \% &")
