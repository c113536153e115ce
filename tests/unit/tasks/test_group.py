"""Two processes started by torchrun share the frames of an evaluation and the members of an ensemble."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import equisparse
from equisparse.adapters.file import load_adapter
from equisparse.errors import InputError
from equisparse.inference.dataset import FrameDataset
from equisparse.inputs.frames import load_frames
from equisparse.tasks import ensemble as task
from equisparse.tasks import shared_work
from equisparse.training.group import Group, _gpu, launched_group, process_group
from equisparse.training.options import ProcessOptions

SCRIPT = """
import json, sys, warnings
from pathlib import Path
import equisparse
from functools import partial
from equisparse.tasks import ensemble as task
from equisparse.testing.toy import ToyBackbone
from equisparse.training.processes import process_rank
from equisparse.training.options import ProcessOptions

warnings.simplefilter("ignore")
equisparse.register_backbone("toy", ToyBackbone, prefixes=("toy-",))
task.finetune_config = partial(task.finetune_config, report=False)
given = json.loads(Path(sys.argv[1]).read_text())
errors = equisparse.evaluate(given["files"]["train"], "toy-1", devices=2)
rank = process_rank(ProcessOptions(devices=2))
Path(given["out"], f"errors-{rank}.json").write_text(json.dumps(errors))
equisparse.ensemble(**given["ensemble"], devices=2)
"""


@pytest.fixture
def ensemble_options(files: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    """Options of an ensemble of three members on half of the frames."""
    kept = {name: value for name, value in options.items() if name not in ("report", "out", "method")}
    return kept | files | {"method": "sparse", "changed": 0.3, "members": 3, "device": "cpu"}


def test_two_processes_evaluate_and_train_an_ensemble_as_one_does(
    files: dict[str, str], ensemble_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script, given = tmp_path / "script.py", tmp_path / "given.json"
    script.write_text(SCRIPT)
    ensemble = ensemble_options | {"out": str(tmp_path / "two")}
    given.write_text(json.dumps({"files": files, "out": str(tmp_path), "ensemble": ensemble}))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), str(given)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *launcher], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    errors = equisparse.evaluate(files["train"], "toy-1")
    assert [json.loads((tmp_path / f"errors-{rank}.json").read_text()) for rank in (0, 1)] == [errors, errors]
    monkeypatch.setattr(task, "finetune_config", partial(task.finetune_config, report=False))
    one = equisparse.ensemble(**ensemble_options, out=tmp_path / "one")
    for number in range(3):
        first, second = (
            load_adapter(tmp_path / folder / f"member-{number}" / "adapter.safetensors").stored
            for folder in ("one", "two")
        )
        assert first.keys() == second.keys()
        assert all(part.equal(second[name][key]) for name, parts in first.items() for key, part in parts.items())
    assert one.ensemble.numbers == equisparse.EnsembleRun(tmp_path / "two", ()).ensemble.numbers


@pytest.mark.parametrize("size", [2, 3, 7])
def test_shares_of_an_evaluation_are_whole_batches_and_come_back_in_order(
    size: int, frames: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_work, "BATCH_FRAMES", 5)
    backbone = equisparse.load_backbone("toy-1", device="cpu")
    labelled = load_frames(frames)
    dataset = FrameDataset(backbone, labelled, {})
    shares: list[Any] = []
    for rank in range(size):
        monkeypatch.setattr(Group, "gathered", lambda _, value: shares.append(value) or [value])
        shared_work.evaluate_shared(backbone, dataset, Group(size, rank))
    assert sorted(index for indices, _ in shares for index in indices) == list(range(len(frames)))
    monkeypatch.setattr(Group, "gathered", lambda *_: shares)
    together = shared_work.evaluate_shared(backbone, dataset, Group(size, 0))
    for quantity, values in shared_work.evaluate(backbone, dataset).items():
        np.testing.assert_array_equal(together[quantity], values)


def test_a_group_of_one_needs_no_launcher_and_a_wrong_rank_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "5")
    with process_group(ProcessOptions()) as group:
        assert group.gathered(3) == [3]
        assert group.is_first
    with pytest.raises(InputError, match="RANK=5"), process_group(ProcessOptions(devices=2)):
        pass


def test_processes_on_the_same_gpu_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: SimpleNamespace(uuid=f"GPU-{gpu.index}"))
    own = _gpu(torch.device("cuda", 0))
    assert own is not None
    other, elsewhere = _gpu(torch.device("cuda", 1)), ("another-node", *own[1:])
    for gathered, shared in (([own, other, elsewhere], False), ([own, own, other], True), ([None, None], False)):
        monkeypatch.setattr(Group, "gathered", lambda *_, gathered=gathered: gathered)
        with pytest.raises(InputError, match="3 processes on 2 GPUs") if shared else nullcontext():
            Group(len(gathered), 0).check_devices(torch.device("cuda", 0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1")
    assert _gpu(torch.device("cuda", 0)) != own
    assert _gpu(torch.device("cpu")) is None


def test_without_a_launcher_there_is_nobody_to_share_with(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    with launched_group(ProcessOptions(devices=2)) as group:
        assert group == Group()


def test_a_launcher_that_started_another_number_of_processes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(InputError, match="rank"), launched_group(ProcessOptions(devices=2)):
        pass
