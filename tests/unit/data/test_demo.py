"""The packaged data set."""

from pathlib import Path

import pytest

from equisparse.data import demo
from equisparse.data.audit.finding import has_errors
from equisparse.data.audit.registry import audit
from equisparse.data.demo import demo_files
from equisparse.data.labels import LabelKeys
from equisparse.data.read import read_frames
from equisparse.errors import DataError


def test_packaged_frames_are_healthy() -> None:
    files = demo_files()
    train, valid, test = (read_frames(path) for path in (files.train, files.valid, files.test))
    assert all(frame.energy is not None and frame.forces is not None for frame in train + valid + test)
    findings = audit(train, valid, test, elements={8, 12})
    assert not has_errors(findings)
    assert {finding.code for finding in findings} == {"unresolved-references"}


def test_packaged_spins_are_healthy() -> None:
    files = demo_files("demo-spin")
    parts = [read_frames(path, LabelKeys(magnetic=True)) for path in (files.train, files.valid, files.test)]
    frames = [frame for part in parts for frame in part]
    assert len(frames) >= 120
    assert all(frame.moments is not None and frame.atoms.get_initial_magnetic_moments().any() for frame in frames)
    assert not has_errors(audit(*parts, elements=set(range(1, 90))))
    geometries = [{frame.atoms.info["geometry"] for frame in part} for part in parts]
    assert sum(map(len, geometries)) == len(set.union(*geometries)), "a geometry is in two splits"


def test_paths_are_those_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo.resources, "files", lambda name: tmp_path / name)
    (tmp_path / "equisparse" / "demo").mkdir(parents=True)
    with pytest.raises(DataError, match=r"mgo_train\.xyz\.gz is missing"):
        demo_files()
    for part in ("train", "valid", "test"):
        (tmp_path / "equisparse" / "demo" / f"mgo_{part}.xyz.gz").touch()
    files = demo_files()
    assert [path.name for path in (files.train, files.valid, files.test)] == [
        "mgo_train.xyz.gz",
        "mgo_valid.xyz.gz",
        "mgo_test.xyz.gz",
    ]


@pytest.mark.parametrize("name", demo.DEMOS)
def test_a_name_stands_for_all_parts_or_one(name: str) -> None:
    files = demo_files(name)
    counts = [len(read_frames(path)) for path in (files.train, files.valid, files.test)]
    assert [len(read_frames(f"{name}:{part}")) for part in demo.PARTS] == counts
    assert len(read_frames(name)) == sum(counts)


def test_a_file_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo.is_demo("demo")
    (tmp_path / "demo").touch()
    assert not demo.is_demo("demo")
    assert not demo.is_demo("demo:others")
