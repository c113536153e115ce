"""Options of every command."""

from jsonargparse import ArgumentParser

from equisparse.cli.words import KEYS
from equisparse.config.finetune import EnsembleConfig, FinetuneConfig
from equisparse.data.labels import LabelUnits


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
    for name in KEYS:
        parser.add_argument(f"--{name}", type=str | None, default=None, help="name of the label in the files")
    units = LabelUnits()
    parser.add_argument("--energy_unit", type=str, default=units.energy)
    parser.add_argument("--length_unit", type=str, default=units.length)
    parser.add_argument("--stress_unit", type=str, default=units.stress)
    parser.add_argument("--stress_sign", type=str, default=units.stress_sign)
