"""Pages are whole, small, quickly made, and hold nothing that a user's files could break."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equisparse.cli import main
from equisparse.errors import InputError
from equisparse.files import write_rows
from equisparse.quantities import STRESS
from equisparse.report.html.document import write_comparison, write_report
from equisparse.report.html.sections.registry import SECTIONS

LARGEST = 8_000_000


def visible(page: str) -> str:
    """A page without its scripts."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_every_section_with_data_is_there_and_the_others_are_not(make_run) -> None:
    page = write_report(make_run()).read_text()
    anchors = re.findall(r'<section id="(\w+)"', page)
    missing = {"functional", "attribution", "robustness"}
    assert anchors == [section.key for section in SECTIONS if section.key not in missing]
    assert re.findall(r'<a href="#(\w+)">', page) == anchors


def test_what_was_probed_is_in_the_report_and_in_its_verdict(make_run) -> None:
    folder = make_run()
    assert "try it with" in visible(write_report(folder).read_text())
    probe = folder / "probe"
    probe.mkdir()
    check = {
        "test": "short range: dimers",
        "finding": "1 of 1 with a <hole>",
        "level": "fail",
        "limits": "warn: a hole",
    }
    (probe / "verdict.json").write_text(json.dumps({"level": "fail", "checks": [check]}))
    elements = [{"element": name, "in_data": name == "O", "force_mev_per_ang": 7.0} for name in ("O", "Cu")]
    write_rows(probe / "elements.csv", elements)
    scan = {"name": "O-O", "fall_base": 0.0, "fall_adapted": 1.5, "well_base": 2.0, "well_adapted": 2.0}
    write_rows(probe / "dimers.csv", [scan | {"hole": True, "collapse": False}])
    write_rows(probe / "dimers_curves.csv", [{"name": "O-O", "x": x, "base": 1 / x, "adapted": -x} for x in (1.0, 0.5)])
    page = visible(write_report(folder).read_text())
    assert "Dimer O-O" in page
    assert page.count("1 of 1 with a &lt;hole&gt;") == 2
    assert "try it with" not in page


def test_nothing_is_loaded_from_anywhere(make_run) -> None:
    text = visible(write_report(make_run()).read_text())
    assert re.findall(r'(?:src|href)="([^"#]+)"', text) == ["data:,"]
    assert "@import" not in text
    assert "url(" not in text


def test_text_of_users_is_escaped(make_run) -> None:
    page = write_report(make_run()).read_text()
    assert "<b>frames" not in page
    assert "&lt;b&gt;frames" in page
    assert "\\u003cb>frames" in page


def test_a_page_of_a_thousand_frames_is_small_and_quickly_made(make_run, predictions) -> None:
    folder = make_run(predictions=predictions(1000, 96))
    start = time.monotonic()
    page = write_report(folder)
    assert time.monotonic() - start < 20
    assert page.stat().st_size < LARGEST
    assert "2,000 of 288,000 components: the 400 worst and a random part" in page.read_text()


def test_stresses_have_their_plot_where_there_are_labels(make_run, predictions) -> None:
    without = write_report(make_run("without")).read_text()
    split = predictions(12, 4)
    labelled = replace(split, labels={**split.labels, STRESS: np.ones((split.n_frames, 3, 3))})
    page = write_report(make_run("with", labelled)).read_text()
    assert "Stress components" not in without
    assert "Stress components, test frames." in page
    assert page.count("br\\u003eyz") == 2 * split.n_frames  # hover texts of both models


def test_frames_with_energies_alone(make_run, predictions) -> None:
    text = visible(write_report(make_run(predictions=predictions(12, 4, labelled=False))).read_text())
    assert "Better than its base in energy." in text
    assert "Errors per element" not in text
    assert 'id="structures"' in text


def test_without_predictions_the_page_says_so(make_run) -> None:
    folder = make_run()
    (folder / "predictions" / "test.npz").unlink()
    text = visible(write_report(folder).read_text())
    assert "cannot say whether" in text
    assert 'id="structures"' not in text


def test_report_command(make_run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(make_run()), "--out", str(tmp_path / "page.html")]) == 0
    assert "<title>Fine-tune run</title>" in (tmp_path / "page.html").read_text()
    assert main(["report", str(tmp_path)]) == 2
    assert "no finished run" in capsys.readouterr().err


def test_runs_side_by_side(make_run, predictions, tmp_path: Path) -> None:
    folders = [make_run("one"), make_run("two", predictions(12, 4, gain=0.9))]
    stability = {"first": "one", "second": "two", "spearman": 0.9, "spearman_null": 0.3}
    stability |= {"jaccard": 0.25, "jaccard_expected": 0.04, "jaccard_null": 0.05}
    text = visible(write_comparison(folders, tmp_path / "compare.html", [stability]).read_text())
    for shown in ("one and two", "0.25", "All options are the same", "<strong>12</strong>"):
        assert shown in text


def test_runs_judged_on_other_frames_are_said_to_be(make_run, predictions, tmp_path: Path) -> None:
    one, same, other = make_run("one"), make_run("same", predictions(12, 4)), make_run("other", predictions(8, 4))
    warning = "not judged on the same frames"
    assert warning not in write_comparison([one, same], tmp_path / "a.html").read_text()
    assert warning in write_comparison([one, other], tmp_path / "b.html").read_text()


def test_runs_of_one_name_are_refused(make_run, tmp_path: Path) -> None:
    folder = make_run()
    with pytest.raises(InputError, match="same name"):
        write_comparison([folder, folder], tmp_path / "compare.html")
