"""The batch script of docs/clusters.md, with programs of SLURM that only write down how they were called."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from equisparse.cli.app import parsed

DOCS = Path(__file__).parents[2] / "docs" / "clusters.md"
FAKE = """#!/usr/bin/env bash
printf '%s\\n' "$(basename "$0") $*" >> calls
[ "$(basename "$0")" = srun ] && exit "$SRUN_CODE"
exit 0
"""


@pytest.mark.parametrize(("code", "begun"), [(0, False), (130, False), (130, True), (2, True)])
def test_the_batch_script_resumes_and_is_requeued_only_after_an_interruption(
    tmp_path: Path, code: int, begun: bool
) -> None:
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "job.sh").write_text(script)
    for name in ("srun", "scontrol"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)
    if begun:
        (tmp_path / "run" / "checkpoints").mkdir(parents=True)
        (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()
    slurm = {"SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "8"}
    environment = os.environ | slurm | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SRUN_CODE": str(code)}
    done = subprocess.run(["/bin/bash", "job.sh"], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == code
    srun, *more = (tmp_path / "calls").read_text().splitlines()
    assert more == (["scontrol requeue 7"] if code == 130 else [])
    words = srun.split("equisparse ")[1].split()
    assert ("--resume" in words) == begun
    command = parsed(words)
    assert (command.devices, command.num_nodes, command.max_steps) == (4, 2, 100000)  # type: ignore[attr-defined]
