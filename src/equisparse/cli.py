"""The command line: parse, one call, print."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from equisparse.config.finetune import EnsembleConfig, FinetuneConfig
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.errors import EquisparseError
from equisparse.files import write_text

_PIPE_WIDTH = 110
_FAILED = 3
"""Exit code of a verdict that is fail."""
_POSITIONAL = {
    "finetune": "train",
    "audit": "data",
    "evaluate": "data",
    "compare": "runs",
    "combine": "adapters",
    "ensemble": "train",
}
"""Command -> the option that its leading words are."""
_LISTS = ("train", "valid", "test", "replay", "targets", "data", "runs", "adapters")
"""Options that take several values."""
_NUMBERS = ("weights", "supercell")
"""Options that take several numbers."""
_KEYS = tuple(f"{name}_key" for name in ("energy", "forces", "stress", "spins", "moments", "magnetic_forces"))
"""Options that name labels."""
_FLAGS = ("resume", "force", "bootstrap", "spin", "spin_orbit")
"""Options that may stand without a value."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Words after the program's name; those of the process by default.

    Returns
    -------
    int
        0 if all went well, 2 if the input cannot be used, 3 if `probe` gives the verdict fail, 130 if interrupted.
    """
    words = normalised(list(sys.argv[1:] if argv is None else argv))
    parser = build_parser()
    options = parser.parse_args(words)
    try:
        return _COMMANDS[options.subcommand](options[options.subcommand], _console())
    except EquisparseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; a fine-tune goes on from its last epoch with --resume and the same --out", file=sys.stderr)
        return 130


def build_parser() -> ArgumentParser:
    """All commands and their options."""
    parser = ArgumentParser(prog="equisparse", description="Sparse fine-tuning of equivariant materials models.")
    commands = parser.add_subcommands(title="commands")
    finetune = _training_parser(FinetuneConfig, "Fine-tune a base on frames: equisparse finetune TRAIN [options]")
    ensemble = _training_parser(EnsembleConfig, "Fine-tune several members: equisparse ensemble TRAIN --members N")
    commands.add_subcommand("finetune", finetune, help="frames in; adapter, native checkpoint and proof out")
    commands.add_subcommand("ensemble", ensemble, help="several fine-tunes whose spread is an uncertainty")
    commands.add_subcommand("audit", _audit_parser(), help="check frames and labels before any training")
    commands.add_subcommand("evaluate", _evaluate_parser(), help="errors of a base, or of a base with an adapter")
    commands.add_subcommand("inspect", _inspect_parser(), help="what an adapter changes; needs no backbone")
    commands.add_subcommand(
        "report", _report_parser(), help="one page about a finished run, made again from its folder"
    )
    commands.add_subcommand(
        "attribute", _attribute_parser(), help="what each part of a run's change does to its errors"
    )
    commands.add_subcommand("probe", _probe_parser(), help="what a run forgot and where it breaks, against its base")
    commands.add_subcommand("compare", _compare_parser(), help="one page about several finished runs, side by side")
    commands.add_subcommand("export", _export_parser(), help="figures as PNG and SVG, tables as CSV and LaTeX")
    commands.add_subcommand("orders", _orders_parser(), help="magnetic orders of a structure, ranked by energy")
    commands.add_subcommand("merge", _merge_parser(), help="write and check the native checkpoint")
    commands.add_subcommand("combine", _combine_parser(), help="add, subtract and scale adapters into a new one")
    commands.add_subcommand("diff", _diff_parser(), help="how two adapters differ; needs no backbone")
    return parser


def normalised(words: list[str]) -> list[str]:
    """Words in the form that jsonargparse takes: ``--batch-size`` as ``--batch_size``, several values as one list.

    >>> normalised(["finetune", "a.xyz", "b.xyz", "--batch-size", "4"])
    ['finetune', '--train', '["a.xyz", "b.xyz"]', '--batch_size', '4']
    """
    if not words or words[0].startswith("-"):
        return words
    command, rest = words[0], words[1:]
    positional = _POSITIONAL.get(command)
    if positional and rest and not rest[0].startswith("-"):
        rest = [f"--{positional}", *rest]
    result = [command]
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            result.append(word)
            continue
        name, _, value = word[2:].partition("=")
        name = name.replace("-", "_")
        values = [value] if value else []
        if name in (*_LISTS, *_NUMBERS):
            while not value and rest and not rest[0].startswith("--"):
                values.append(rest.pop(0))
            result += [f"--{name}", json.dumps(values) if name in _LISTS else f"[{', '.join(values)}]"]
        elif name in _FLAGS and not value and (not rest or rest[0].startswith("--")):
            result.append(f"--{name}=true")
        else:
            result += [f"--{name}={value}" if value else f"--{name}"]
    return result


def _training_parser(config: type[FinetuneConfig], description: str) -> ArgumentParser:
    parser = ArgumentParser(description=description)
    parser.add_argument("--config", action="config", help="YAML file of options, such as the config.yaml of a run")
    parser.add_class_arguments(config)
    return parser


def _audit_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Check frames and labels: equisparse audit DATA [options]")
    parser.add_argument("--data", type=list[str], required=True, help="files or globs; the leading words by default")
    parser.add_argument("--base", type=str | None, default=None, help="compare the labels with this base model, too")
    _add_base_options(parser)
    _add_label_options(parser)
    return parser


def _evaluate_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Errors on frames: equisparse evaluate DATA --base B [--adapter F]")
    parser.add_argument("--data", type=list[str], required=True, help="files or globs; the leading words by default")
    parser.add_argument("--base", type=str, required=True)
    parser.add_argument("--adapter", type=str | None, default=None)
    parser.add_argument("--json", type=str | None, default=None, help="write the errors to this file, too")
    _add_base_options(parser)
    _add_label_options(parser)
    return parser


def _inspect_parser() -> ArgumentParser:
    parser = ArgumentParser(description="What an adapter changes: equisparse inspect ADAPTER")
    parser.add_argument("adapter", type=str)
    return parser


def _report_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Write the report of a finished run: equisparse report RUN_DIR")
    parser.add_argument("run", type=str)
    parser.add_argument("--out", type=str | None, default=None, help="report.html in the folder of the run by default")
    return parser


def _attribute_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Errors without each part of a change, and with it alone")
    parser.add_argument("run", type=str)
    parser.add_argument("--by", type=str, default="layer", help="layer, l, role, path, block or element")
    parser.add_argument("--frames", type=int, default=50, help="at most so many validation frames")
    parser.add_argument("--device", type=str, default="auto")
    return parser


def _probe_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Retention, short range and dynamics of a finished run; exit code 3 for fail")
    parser.add_argument("run", type=str)
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--steps", type=int, default=500, help="of each molecular dynamics run")
    parser.add_argument("--timestep", type=float | None, default=None, help="fs; 0.5 with hydrogen, else 1, by default")
    parser.add_argument("--starts", type=int, default=2, help="structures that dynamics starts from")
    parser.add_argument("--compressed", type=int, default=3, help="training structures that are compressed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", type=str, default="auto")
    return parser


def _compare_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Several runs side by side: equisparse compare RUN RUN ... [--out FILE]")
    parser.add_argument("--runs", type=list[str], required=True, help="folders; the leading words by default")
    parser.add_argument("--out", type=str, default="compare.html")
    return parser


def _export_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Figures and tables of a finished run, for papers")
    parser.add_argument("run", type=str)
    parser.add_argument("--out", type=str, required=True, help="folder")
    return parser


def _merge_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Write the native checkpoint of a base with an adapter")
    parser.add_argument("adapter", type=str)
    parser.add_argument("--base", type=str, required=True)
    parser.add_argument("--out", type=str, required=True)
    parser.add_argument("--frames", type=str | None, default=None, help="file of frames to compare on; demo by default")
    _add_base_options(parser)
    return parser


def _orders_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Rank collinear magnetic orders: equisparse orders STRUCTURE --adapter F")
    parser.add_argument("structure", type=str, help="any file that ASE reads; its first frame counts")
    parser.add_argument("--base", type=str, required=True)
    parser.add_argument("--adapter", type=str, required=True, help="of a run with --spin")
    parser.add_argument("--supercell", type=list[int], default=[1, 1, 1], help="such as 2 2 1")
    parser.add_argument("--top", type=int, default=20, help="orders that are shown")
    parser.add_argument("--out", type=str | None, default=None, help="extended XYZ file that gets all orders")
    _add_base_options(parser)
    return parser


def _combine_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Weighted sum of adapters: equisparse combine FILE ... --weights W ... --out F")
    parser.add_argument("--adapters", type=list[str], required=True, help="files; the leading words by default")
    parser.add_argument("--weights", type=list[float], required=True, help="one an adapter, such as 1 -1 to subtract")
    parser.add_argument("--out", type=str, required=True)
    parser.add_argument("--base", type=str | None, default=None, help="needed for the method scale alone")
    _add_base_options(parser)
    return parser


def _diff_parser() -> ArgumentParser:
    parser = ArgumentParser(description="How two adapters of one base differ: equisparse diff ADAPTER ADAPTER")
    parser.add_argument("first", type=str)
    parser.add_argument("second", type=str)
    return parser


def _add_base_options(parser: ArgumentParser) -> None:
    parser.add_argument("--backbone", type=str | None, default=None)
    parser.add_argument("--device", type=str, default="auto")
    parser.add_argument("--dtype", type=str, default="float32")
    parser.add_argument("--modality", type=str | None, default=None)
    parser.add_argument("--sha256", type=str | None, default=None, help="what the base file's SHA-256 begins with")


def _add_label_options(parser: ArgumentParser) -> None:
    for name in _KEYS:
        parser.add_argument(f"--{name}", type=str | None, default=None, help="name of the label in the files")
    units = LabelUnits()
    parser.add_argument("--energy_unit", type=str, default=units.energy)
    parser.add_argument("--length_unit", type=str, default=units.length)
    parser.add_argument("--stress_unit", type=str, default=units.stress)
    parser.add_argument("--stress_sign", type=str, default=units.stress_sign)


def _labels(options: Namespace) -> tuple[LabelKeys, LabelUnits]:
    """Names and units of the labels from options."""
    return (
        LabelKeys(*(options[name] for name in _KEYS)),
        LabelUnits(options.energy_unit, options.length_unit, options.stress_unit, options.stress_sign),
    )


def _finetune(options: Namespace, console: Console) -> int:
    from equisparse.workflow.finetune import finetune

    values = {name: value for name, value in options.as_dict().items() if name != "config"}
    finetune(FinetuneConfig(**values), console)
    return 0


def _ensemble(options: Namespace, console: Console) -> int:
    from equisparse.workflow.ensemble import train_ensemble

    values = {name: value for name, value in options.as_dict().items() if name != "config"}
    train_ensemble(EnsembleConfig(**values), console)
    return 0


def _audit(options: Namespace, console: Console) -> int:
    from equisparse.workflow.checks import audit_files

    keys, units = _labels(options)
    text, clean = audit_files(options.data, keys, units, _load(options) if options.base else None)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 0 if clean else 2


def _evaluate(options: Namespace, console: Console) -> int:
    from equisparse.report.text import metrics_table
    from equisparse.workflow.checks import evaluate_files

    keys, units = _labels(options)
    metrics = evaluate_files(options.data, keys, units, _load(options), options.adapter)
    console.print(metrics_table(metrics))
    if options.json:
        write_text(Path(options.json), json.dumps(metrics, indent=2) + "\n")
    return 0


def _inspect(options: Namespace, console: Console) -> int:
    from equisparse.adapters.file import load_adapter
    from equisparse.report.text import inspect_tables

    for part in inspect_tables(load_adapter(options.adapter), Path(options.adapter).stat().st_size):
        console.print(part)
    return 0


def _report(options: Namespace, console: Console) -> int:
    from equisparse.report.document import write_report

    path = write_report(options.run, Path(options.out) if options.out else None)
    console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _attribute(options: Namespace, console: Console) -> int:
    from equisparse.workflow.attribution import attribute_run

    path = attribute_run(options.run, options.by, console, frames=options.frames, device=options.device)
    console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _probe(options: Namespace, console: Console) -> int:
    from equisparse.robustness.dynamics import DynamicsOptions
    from equisparse.workflow.probe import ProbeOptions, probe_run

    runs = DynamicsOptions(options.temperature, options.steps, options.timestep, options.seed)
    wishes = ProbeOptions(runs, options.starts, options.compressed)
    return _FAILED if probe_run(options.run, wishes, console, device=options.device) == "fail" else 0


def _compare(options: Namespace, console: Console) -> int:
    from equisparse.workflow.comparison import compare_runs

    path = compare_runs(options.runs, Path(options.out))
    console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _export(options: Namespace, console: Console) -> int:
    from equisparse.report.export import write_figures, write_tables
    from equisparse.report.run import read_run

    run, folder = read_run(options.run), Path(options.out)
    written = [*write_figures(run, folder, ("png", "svg")), *write_tables(run, folder)]
    console.print(f"{len(written)} files written: {folder}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _orders(options: Namespace, console: Console) -> int:
    from equisparse.report.text import orders_table
    from equisparse.workflow.orders import scan_file

    orders = scan_file(options.structure, _load(options), options.adapter, options.supercell, options.out)
    rows = [
        (order.energy, float(order.moments.sum()), float(abs(order.moments).max()), order.count, order.signs)
        for order in orders[: options.top]
    ]
    console.print(orders_table(rows, len(orders)))
    if options.out:
        console.print(f"written: {options.out}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _merge(options: Namespace, console: Console) -> int:
    from equisparse.adapters.adapter import SPINS_STAY
    from equisparse.adapters.file import load_adapter
    from equisparse.workflow.checks import merge_files

    backbone = _load(options)
    check = merge_files(backbone, options.adapter, Path(options.out), options.frames)
    adapter = load_adapter(options.adapter)
    left = "" if adapter.spins is None else f"left out: {SPINS_STAY}\n"
    lines = f"{check}\nwritten: {options.out}\n{left}{backbone.deployment_notes(Path(options.out))}"
    console.print(lines, markup=False, highlight=False, soft_wrap=True)
    return 0


def _combine(options: Namespace, console: Console) -> int:
    from equisparse.workflow.adapters import combine_files

    base = (lambda: _load(options)) if options.base else None
    text = combine_files(options.adapters, options.weights, Path(options.out), base)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 0


def _diff(options: Namespace, console: Console) -> int:
    from equisparse.workflow.adapters import diff_files

    for part in diff_files(options.first, options.second):
        console.print(part, highlight=False)
    return 0


def _load(options: Namespace) -> Any:
    """The base model of a command's options."""
    from equisparse.backbones.registry import load_backbone

    return load_backbone(
        options.base,
        backbone=options.backbone,
        device=options.device,
        dtype=options.dtype,
        modality=options.modality,
        sha256=options.sha256,
    )


def _console() -> Console:
    """Standard output; of a fixed width where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


_COMMANDS = {
    "finetune": _finetune,
    "ensemble": _ensemble,
    "audit": _audit,
    "evaluate": _evaluate,
    "inspect": _inspect,
    "report": _report,
    "attribute": _attribute,
    "probe": _probe,
    "compare": _compare,
    "export": _export,
    "orders": _orders,
    "merge": _merge,
    "combine": _combine,
    "diff": _diff,
}

if __name__ == "__main__":
    sys.exit(main())
