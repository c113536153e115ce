"""Trial runs of benchmarks that are meant for other machines, on a few frames and a small model."""

import json
import subprocess
import sys
from pathlib import Path

import ase.io
import pytest

from equisparse.data.demo import demo_files

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.benchmark


def run_benchmark(name: str, *words: object) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / name), *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_gpu_script_on_a_cpu(small_base, tmp_path):
    for name, count in (("rmd17/ethanol/train.xyz.gz", 2), ("hfo2/all.xyz.gz", 1)):
        (tmp_path / name).parent.mkdir(parents=True)
        ase.io.write(tmp_path / name, ase.io.read(demo_files().train, f":{count}"), format="extxyz")
    results = tmp_path / "rows.jsonl"
    words = ["--data", tmp_path, "--base", small_base, "--device", "cpu", "--rounds", "1", "--minutes", "60"]
    words += ["--results", results]
    run_benchmark("gpu.py", *words)
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert [(row["data"], row["dtype"]) for row in rows] == [
        ("ethanol", "float32"),
        ("HfO2", "float32"),
        ("ethanol", "float64"),
        ("HfO2", "float64"),
    ]
    for row in rows:
        assert list(row["step_over_full"]) == ["full", "full-fast", "sparse", "sparse-fast"]
        assert row["launches"]["sparse-fast"] < row["launches"]["sparse"]
    assert "left out, no time" in run_benchmark("gpu.py", *words, "--minutes", "0")


def test_time_to_accuracy(small_base, tmp_path):
    frames = ase.io.read(demo_files().train, ":14")
    for part, chosen in (("train", frames[:6]), ("valid", frames[6:10]), ("test", frames[10:])):
        ase.io.write(tmp_path / f"{part}.xyz.gz", chosen, format="extxyz")
    words = ["--folder", tmp_path, "--name", "demo", "--base", small_base, "--steps", "4", "--batch-size", "3"]
    words += ["--device", "cpu", "--ours", "full", "--shares", "1", "--results", tmp_path / "rows.jsonl"]
    run_benchmark("time_to_accuracy.py", *words)
    row = json.loads((tmp_path / "rows.jsonl").read_text())
    assert row["upstream"]["preset"]["seconds"] > 0
    assert row["upstream"]["preset"]["test"] > 0
    assert row["ours"]["full"]["ends"][0]["test"] > 0
    assert set(row["ours"]["full"]["seconds_to"]) == {"preset"}
    assert (row["train_frames"], row["test_frames"], row["epochs"]) == (6, 4, 2)


def test_next_frames(small_base, tmp_path):
    frames = ase.io.read(demo_files().train, ":22")
    for part, chosen in (("train", frames[:8]), ("valid", frames[8:10]), ("test", frames[10:16]), ("hot", frames[16:])):
        ase.io.write(tmp_path / f"{part}.xyz.gz", chosen, format="extxyz")
    words = ["--folder", tmp_path, "--name", "demo", "--base", small_base, "--runs", tmp_path / "runs"]
    words += ["--results", tmp_path / "rows.jsonl", "--seeds", "1", "--first", "6", "--test", "3", "--rare", "hot"]
    words += ["--rare-frames", "2", "--n", "2", "--members", "2", "--ensemble-epochs", "1", "--epochs", "1"]
    run_benchmark("next_frames.py", *words, "--choices", "selected", "random", "farthest")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["cell"]["choice"] for row in rows] == ["selected", "random", "farthest"]
    for row in rows:
        assert (row["pool_frames"], len(row["chosen"])) == (9, 2)
        assert set(row["force_error_mev_per_ang"]) == {"test", "hot"}
    assert not run_benchmark("next_frames.py", *words)
