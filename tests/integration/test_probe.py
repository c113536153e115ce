"""`finetune` and `probe` through the command line, on real frames and a small model."""

import json
from pathlib import Path

import ase.io
import pytest

from equisparse.cli import main
from equisparse.data.demo import demo_files
from equisparse.run.files import RunFolder

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")


@pytest.fixture(scope="module")
def run(small_base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short fine-tune on eight-atom pieces of the demo data, which stays with the base on the probe structures."""
    folder = tmp_path_factory.mktemp("probe")
    for name, source, count in (("train", demo_files().train, 4), ("valid", demo_files().valid, 2)):
        ase.io.write(folder / f"{name}.extxyz", ase.io.read(source, f":{count}"))
    words = ["finetune", str(folder / "train.extxyz"), "--valid", str(folder / "valid.extxyz"), "--epochs", "1"]
    words += ["--base", small_base]
    words += ["--replay", "probe", "--replay-batch-size", "2", "--batch-size", "2", "--device", "cpu"]
    assert main([*words, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.mark.slow
def test_probe_writes_its_tables_and_the_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads((run / "metrics.json").read_text())["retention"]["force_mev_per_ang_median"] > 0
    code = main(["probe", str(run), "--steps", "10", "--starts", "1", "--compressed", "1", "--device", "cpu"])
    verdict = json.loads((run / "probe" / "verdict.json").read_text())
    assert code == (3 if verdict["level"] == "fail" else 0)
    shown = capsys.readouterr().out
    assert f"verdict    {verdict['level']}" in shown
    assert [check["test"].split(":")[0] for check in verdict["checks"]][:4] == ["retention"] * 2 + ["short range"] * 2
    files = RunFolder(run).probe
    assert all(table.read() for table in (files.drift, files.groups, files.scans("compression")))
    assert all(files.scan_curves(test).read() for test in ("dimers", "compression"))
    assert [row.name for row in files.scans("dimers").read()] == ["O-O", "O-Mg", "Mg-Mg"]
    assert {row.element for row in files.elements.read() if row.in_data} == {"O", "Mg"}
    assert [row.ensemble for row in files.dynamics.read()] == ["NVT", "NVE"]
    assert "not in the data" in (run / "report.html").read_text()
