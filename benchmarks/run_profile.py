"""Where the time of a command goes: seconds and share of every phase.

    OMP_NUM_THREADS=1 python benchmarks/run_profile.py finetune demo --epochs 10 --batch-size 5 --out demo-run

Everything after the name of this file is a command line of ``equisparse``. It runs in this process, while a thread
looks at the stack of the main thread every 5 ms. The time since the last look counts for the phase of the innermost
function of `PHASES` on the stack; imports are a phase of their own, wherever they happen. Two clocks are shown: the
wall's, and that of the processor, all threads together. The shares are those of the processor's seconds, which other
programs on the machine change little; the two agree where nothing else runs, with one thread and on a CPU.
"""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TypeAlias

Times: TypeAlias = dict[str, tuple[float, float]]
"""Phase -> seconds of the wall, and of the processor."""

INTERVAL = 0.005
"""s."""
OTHER = "other"
TRAINING = "training: steps"
PHASES: dict[str, tuple[str, ...]] = {
    "imports": ("importlib._bootstrap:_find_and_load",),
    "command line": ("cli/app:build_app", "cli/app:_run"),
    "read frames": ("inputs/splits:read_splits", "inputs/splits:read_kept", "data/read:read_frames"),
    "load the base": ("inputs/base:configured_base", "backbones/registry:load_backbone"),
    "audit": ("data/audit/registry:audit_sets", "data/audit/registry:frame_sets"),
    "faster forms and their self-checks": ("tasks/speed:speed_up",),
    "set-up, everything else": ("tasks/setup:set_up", "tasks/setup:measure_start", "tasks/resume:prepare_folder"),
    "neighbour graphs": ("backbone:graph",),
    "predict all frames with the base": ("tasks/setup:measure_start>tasks/stages:evaluate_all",),
    "replay structures and activations": ("tasks/finetune:_layers", "tasks/finetune:_replay"),
    TRAINING: ("training/task:training_step",),
    "training: validation": ("training/task:_valid_loss", "loops/evaluation_loop:run"),
    "training: checkpoints": ("callbacks/model_checkpoint:_save_checkpoint",),
    "training: around the steps": ("tasks/stages:train_adapter",),
    "predict all frames with the result": ("tasks/finetune:_finetune>tasks/stages:evaluate_all",),
    "drift on probe structures": ("robustness/retention:retention",),
    "merged checkpoint": ("deploy/merge:write_merged",),
    "signatures and functional changes": ("run/interpretation:write_interpretation",),
    "adapter, metrics and tables": ("run/write:write_run", "adapters/file:save_adapter"),
    "figures": ("report/paper/export:write_figures",),
    "report": ("report/html/document:write_report",),
}
"""Phase -> functions in it, as the end of a module's path and a name; with ``>``, only where called by the first."""


def main() -> None:
    """Run the command line and print the table."""
    times: Times = defaultdict(lambda: (0.0, 0.0))
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(threading.get_ident(), times, ended), daemon=True)
    watch.start()
    try:
        from equisparse.cli import main as command  # the time of this import counts

        code = command(sys.argv[1:])
    finally:
        ended.set()
        watch.join()
    print(table(times))
    sys.exit(code)


def table(times: Times) -> str:
    """Table of the phases in their order, and of everything but the training steps."""
    rows = [(phase, times[phase]) for phase in (*PHASES, OTHER) if phase in times]
    total, steps = _sum(times.values()), times.get(TRAINING, (0.0, 0.0))
    rows += [("all", total), ("all but the training steps", (total[0] - steps[0], total[1] - steps[1]))]
    lines = ["| phase | seconds | CPU seconds | share |", "|---|---|---|---|"]
    for phase, (wall, cpu) in rows:
        lines.append(f"| {phase} | {wall:.2f} | {cpu:.2f} | {cpu / total[1]:.1%} |")
    return "\n".join(lines)


def _sum(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Sums of the first and of the second numbers."""
    walls, cpus = zip(*pairs, strict=True)
    return sum(walls), sum(cpus)


def _watch(thread: int, times: Times, ended: threading.Event) -> None:
    """Add the time of a thread to the phases until it ends."""
    before = time.perf_counter(), time.process_time()
    while not ended.wait(INTERVAL):
        frame = sys._current_frames().get(thread)
        now = time.perf_counter(), time.process_time()
        phase = _phase(frame)
        wall, cpu = times[phase]
        times[phase] = wall + now[0] - before[0], cpu + now[1] - before[1]
        before = now


def _phase(frame: FrameType | None) -> str:
    """Phase of the innermost known function of a stack."""
    names = [*_names(frame)]
    for index, name in enumerate(names):
        for phase, functions in PHASES.items():
            if any(_matches(function, name, names[index + 1 :]) for function in functions):
                return phase
    return OTHER


def _names(frame: FrameType | None) -> Iterator[str]:
    """Functions on a stack, innermost first, as ``path/of/module:name``."""
    while frame is not None:
        code = frame.f_code
        yield f"{code.co_filename.removesuffix('.py').strip('<>')}:{code.co_name}"
        frame = frame.f_back


def _matches(function: str, name: str, callers: list[str]) -> bool:
    """Return whether a name on the stack is a function of `PHASES`."""
    caller, _, called = function.rpartition(">")
    return name.endswith(called) and (not caller or callers[0].endswith(caller))


if __name__ == "__main__":
    main()
