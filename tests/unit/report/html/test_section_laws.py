"""Every law, for every section of the report, on a run with its data and on one with few data."""

from pathlib import Path

import pytest

from equisparse.observables.rows import BandPoint, PropertyRow, StructureRow
from equisparse.report.html.sections.registry import SECTIONS, Section
from equisparse.robustness.drift import ElementDrift
from equisparse.robustness.verdict import Check
from equisparse.run.files import ProbeVerdict, RunFolder
from equisparse.run.folder import read_run
from equisparse.testing.sections import SECTION_LAWS, SectionLaw


@pytest.fixture(params=["many data", "few data"])
def folder(request: pytest.FixtureRequest, make_run) -> Path:
    """Folder of a run."""
    files = RunFolder(make_run())
    if request.param == "few data":
        files.predictions_of("test").unlink()
        return files.path
    files.probe.elements.write([ElementDrift(name, name == "O", 1, 3.0, 7.0) for name in ("O", "Cu")])
    files.probe.write_verdict(ProbeVerdict("fail", {}, (Check("dimers", "1 of 1 with a <hole>", "fail", "a hole"),)))
    files.properties.structures.write(StructureRow("<MgO>", m, "crystal", 8, "", "") for m in ("base", "fine-tuned"))
    files.properties.values.write([PropertyRow("<MgO>", "a_ang", 4.0, 4.2, 4.1)])
    files.properties.bands.write(BandPoint("<MgO>", "base", 0, x, "G", x) for x in (0.0, 1.0))
    return files.path


@pytest.mark.parametrize("law", SECTION_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.key)
def test_law(section: Section, law: SectionLaw, folder: Path) -> None:
    law(section.make, folder)


def test_the_run_has_data_for_most_sections(folder: Path) -> None:
    made = [section.key for section in SECTIONS if section.make(read_run(folder))]
    assert len(made) >= len(SECTIONS) // 2, made
