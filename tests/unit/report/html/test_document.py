"""Pages are whole, small, quickly made, and hold nothing that a user's files could break."""

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equisparse.cli import main
from equisparse.errors import InputError
from equisparse.interpret.stability import StabilityRow
from equisparse.observables.rows import BandPoint, PropertyRow, RadialPoint, Source, StructureRow, VolumePoint
from equisparse.quantities import STRESS
from equisparse.report.html.comparison import named
from equisparse.report.html.document import write_comparison, write_report
from equisparse.report.html.sections.registry import SECTIONS
from equisparse.robustness.drift import ElementDrift
from equisparse.robustness.scans import ScanPoint, ScanRow
from equisparse.robustness.verdict import Check
from equisparse.run.files import ProbeVerdict, RunFolder
from equisparse.run.folder import Run, read_run

LARGEST = 3_000_000


def visible(page: str) -> str:
    """A page without its scripts."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def opened(*folders: Path) -> dict[str, Run]:
    """Runs of some folders by name."""
    return named(read_run(folder) for folder in folders)


def test_every_section_with_data_is_there_and_the_others_are_not(make_run) -> None:
    page = write_report(read_run(make_run())).read_text()
    anchors = re.findall(r'<section id="(\w+)"', page)
    missing = {"functional", "attribution", "robustness", "properties"}
    assert anchors == [section.key for section in SECTIONS if section.key not in missing]
    assert re.findall(r'<a href="#(\w+)">', page) == anchors


def test_properties_are_in_the_report(make_run) -> None:
    folder = make_run()
    files = RunFolder(folder).properties
    notes = {"base": "", "fine-tuned": "dynamically <unstable>"}
    symmetry = "Fm-3m (225)"
    files.structures.write(StructureRow("MgO", model, "crystal", 8, symmetry, note) for model, note in notes.items())
    files.values.write([PropertyRow("MgO", "a_ang", 4.0, 4.2, 4.1), PropertyRow("MgO", "c44_gpa", None, 150.0)])
    files.volumes.write([VolumePoint("MgO", "base", volume, volume - 9) for volume in (9.0, 10.0)])
    sources: tuple[Source, ...] = ("base", "fine-tuned", "frames")
    files.radial.write(RadialPoint("MgO", source, distance, 1.0) for source in sources for distance in (2.0, 3.0))
    path = ((0.0, "G"), (1.0, "X"), (1.0, "U"), (2.0, "L"))
    files.bands.write(BandPoint("MgO", model, 0, x, label, x) for model in notes for x, label in path)
    page = write_report(read_run(folder)).read_text()
    assert "space group Fm-3m (225) with both models" in visible(page)
    assert "fine-tuned: dynamically &lt;unstable&gt;" in visible(page)
    assert "+5.0%" in visible(page)
    assert "Phonon bands of MgO, base and fine-tuned." in visible(page)
    assert "Radial distribution function of MgO" in visible(page)
    assert "comparable if they are from dynamics at the same temperature" in visible(page)
    assert "X | U" in page
    files.bands.write(BandPoint("MgO", model, 0, 0.0, label, 1.0) for model, label in zip(notes, "GX", strict=True))
    page = visible(write_report(read_run(folder)).read_text())
    assert "Phonon bands of MgO, base." in page, "models with different paths have figures of their own"
    assert "Phonon bands of MgO, fine-tuned." in page


def test_what_was_probed_is_in_the_report_and_in_its_verdict(make_run) -> None:
    folder = make_run()
    assert "Test it with" in visible(write_report(read_run(folder)).read_text())
    probe = RunFolder(folder).probe
    probe.elements.write([ElementDrift(name, name == "O", 1, 3.0, 7.0) for name in ("O", "Cu")])
    scan = ScanRow("O-O", 0.0, 1.5, 0.5, 2.0, 2.0, hole=True, collapse=False)
    probe.scans("dimers").write([scan])
    probe.scan_curves("dimers").write([ScanPoint("O-O", x, 1 / x, -x) for x in (1.0, 0.5)])
    check = Check("short range: dimers", "1 of 1 with a <hole>", "fail", "warn: a hole")
    probe.write_verdict(ProbeVerdict("fail", {}, (check,)))
    page = visible(write_report(read_run(folder)).read_text())
    assert "Dimer O-O" in page
    assert page.count("1 of 1 with a &lt;hole&gt;") == 2
    assert "Test it with" not in page


def test_nothing_is_loaded_from_anywhere(make_run) -> None:
    text = visible(write_report(read_run(make_run())).read_text())
    assert re.findall(r'(?:src|href)="([^"#]+)"', text) == ["data:,"]
    assert "@import" not in text
    assert "url(" not in text


def test_text_of_users_is_escaped(make_run) -> None:
    page = write_report(read_run(make_run())).read_text()
    assert "<b>frames" not in page
    assert "&lt;b&gt;frames" in page
    assert "\\u003cb>frames" in page


def test_a_page_of_a_thousand_frames_is_small_and_quickly_made(make_run, predictions) -> None:
    folder = make_run(predictions=predictions(1000, 96))
    start = time.monotonic()
    page = write_report(read_run(folder))
    assert time.monotonic() - start < 20
    assert page.stat().st_size < LARGEST
    assert "2,000 of 288,000 components: the 400 with the largest errors and a random sample" in page.read_text()


def test_stresses_have_their_plot_where_there_are_labels(make_run, predictions) -> None:
    without = write_report(read_run(make_run("without"))).read_text()
    split = predictions(12, 4)
    labelled = replace(split, labels={**split.labels, STRESS: np.ones((split.n_frames, 3, 3))})
    page = write_report(read_run(make_run("with", labelled))).read_text()
    assert "Stress components" not in without
    assert "Stress components, test frames." in page
    assert page.count("br\\u003eyz") == 2 * split.n_frames  # hover texts of both models


def test_frames_with_energies_alone(make_run, predictions) -> None:
    text = visible(write_report(read_run(make_run(predictions=predictions(12, 4, labelled=False)))).read_text())
    assert "better than its base in energy." in text
    assert "Errors per element" not in text
    assert 'id="structures"' in text


def test_without_predictions_the_page_says_so(make_run) -> None:
    folder = make_run()
    RunFolder(folder).predictions_of("test").unlink()
    text = visible(write_report(read_run(folder)).read_text())
    assert "cannot say whether" in text
    assert 'id="structures"' not in text


def test_report_command(make_run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(make_run()), "--out", str(tmp_path / "page.html")]) == 0
    assert "<title>Fine-tune run</title>" in (tmp_path / "page.html").read_text()
    assert main(["report", str(tmp_path)]) == 2
    assert "not contain a finished run" in capsys.readouterr().err


def test_runs_side_by_side(make_run, predictions, tmp_path: Path) -> None:
    folders = [make_run("one"), make_run("two", predictions(12, 4, gain=0.9))]
    stability = StabilityRow("one", "two", 0.9, 0.3, 0.25, 0.04, 0.05)
    text = visible(write_comparison(opened(*folders), tmp_path / "compare.html", [stability]).read_text())
    for shown in ("one and two", "0.25", "All options are the same", "<strong>12.0</strong>"):
        assert shown in text


def test_runs_judged_on_other_frames_are_said_to_be(make_run, predictions, tmp_path: Path) -> None:
    one, same, other = make_run("one"), make_run("same", predictions(12, 4)), make_run("other", predictions(8, 4))
    warning = "not evaluated on the same frames"
    assert warning not in write_comparison(opened(one, same), tmp_path / "a.html").read_text()
    assert warning in write_comparison(opened(one, other), tmp_path / "b.html").read_text()


def test_runs_of_one_name_are_refused(make_run) -> None:
    folder = make_run()
    with pytest.raises(InputError, match="same name"):
        opened(folder, folder)
