"""Render the committed results as docs/benchmarks.md.

python benchmarks/render.py
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from page_text import (
    ACCURACY,
    BANK,
    COST,
    ELEMENTS,
    HEAD,
    NEXT_FRAMES,
    PHYSICS,
    ROBUSTNESS,
    SEARCH,
    SPIN_ORDERS,
    SUPPORTS,
    TABLE,
    TABLES,
    TIME_TO_ACCURACY,
)
from pivot import list_lines, pivot_lines
from rows import rows_of
from search import STUDIES, storage_of
from size_figure import draw_sizes

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
FIGURES = PAGE.parent / "figures"
ENOUGH_TRIALS = 3
DRIFTS = ("energy_mev_per_atom", "force_mev_per_ang")
SPIN_SET = "demo-spin"


def accuracy_lines(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """One table line a cell."""
    for row in rows:
        cell, wishes = row["cell"], []
        wishes += [
            f"{key} {cell[key]}" for key in ("regime", "changed", "budget", "optimizer") if cell[key] is not None
        ]
        wishes += [f"targets {' '.join(cell['targets'])}"] if cell["targets"] else []
        columns = (
            cell["name"],
            cell["base"],
            ", ".join([row["resolved"]["method"], *wishes]),
            row["steps"],
            cell["seed"],
            row["resolved"]["lr"],
            f"{row['changed_fraction_model']:.2%}",
            f"{row['stored_values']:,}",
            f"{row['adapter_bytes']:,}",
            f"{row['test']['force_mae_mev_per_ang']:.1f}",
            f"{row['test']['energy_mae_mev_per_atom']:.2f}",
        )
        yield f"| {' | '.join(map(str, columns))} |"


def cost_lines(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """One table line a variant, and one for inference."""
    for row in rows:
        device = row["versions"]["machine"].rpartition(", ")[2]
        machine = f"CPU, {row['threads']} threads" if device == "cpu" else device
        place = f"| {row['data']} | {row['base']} | {row['batch_size']} | {machine} | {row.get('dtype', 'float32')} |"
        for variant, ratio in row["step_over_full"].items():
            spread = spread_of(ratio)
            memory = row.get("peak_memory_over_full", {}).get(variant)
            yield f"{place} {variant} | {spread} | {'' if memory is None else f'{memory:.3f}'} |"
        if "merged_inference_over_base" in row:
            merged = row["merged_inference_over_base"]["merged"]
            yield f"{place} merged inference / base inference | {merged['median']:.3f} | |"


def time_lines(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """One table line a trainer of upstream's and a way of ours."""
    for row in rows:
        for kind, theirs in row["upstream"].items():
            place = (row["data"], row["base"], kind, row["epochs"], f"{theirs['test']:.1f}", row["clock"])
            for option, ours in row["ours"].items():
                seconds = ours["seconds_to"][kind]
                lengths = ", ".join(f"{end['share']:g}" for end in ours["ends"])
                reached = ("", "") if seconds is None else (f"{seconds:.0f}", f"{seconds / theirs['seconds']:.2f}")
                yield f"| {' | '.join(map(str, (*place, round(theirs['seconds']), option, lengths, *reached)))} |"


def bank_lines(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """One table line a measurement."""
    for row in rows:
        columns = (
            row["data"],
            row["base"],
            f"{row['changed']:.1%}",
            row["threads"],
            f"{row['switch_ms']:.3f}",
            spread_of(row["switch_over_applied"]),
            row["members"],
            f"{row['single_ms']:.1f}",
            spread_of(row["ensemble_over_single"]),
        )
        yield f"| {' | '.join(map(str, columns))} |"


def spread_of(ratio: dict[str, float]) -> str:
    """Median and quartiles of a ratio."""
    return f"{ratio['median']:.3f} ({ratio['q25']:.3f} to {ratio['q75']:.3f})"


def physics_lines(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """One table line a run."""
    for row in rows:
        shares, errors, absent = row["share_beyond_s"], row["force_mae_mev_per_ang"], row["change_on_absent_elements"]
        columns = (
            row["name"],
            row["steps"],
            f"{errors['refit']:.1f}, {errors['final']:.1f}",
            f"{shares['metal']:.3f}",
            f"{shares['oxygen']:.3f}",
            f"{row['difference']:+.3f}",
            f"{row['p_value']:.2g}",
            "" if absent is None else f"{absent:.1%}",
        )
        yield f"| {' | '.join(map(str, columns))} |"


def support_lines(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """One table line a pair of runs and a number of changed weights."""
    for row in rows:
        cell = row["cell"]
        columns = (
            cell["name"],
            cell["base"],
            cell["method"],
            f"{cell['changed']:g} %",
            cell["pair"],
            f"{row['jaccard']:.2f}",
            f"{row['jaccard_expected']:.2f}",
            f"{row['jaccard_from_channels']:.2f}",
            f"{row['spearman']:.2f}",
            f"{row['spearman_null']:.2f}",
        )
        yield f"| {' | '.join(map(str, columns))} |"


def element_lines(rows: list[dict[str, Any]]) -> Iterable[str]:
    """One table line an element, of all runs of one method and number of changed weights."""

    def between(values: Iterable[float]) -> str:
        percent = sorted(100 * value for value in values)
        return f"{percent[0]:.0f} to {percent[-1]:.0f}"

    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        cell = row["cell"]
        groups.setdefault((cell["name"], cell["base"], cell["method"], round(cell["changed"])), []).append(row)
    for (name, base, method, changed), runs in sorted(groups.items(), key=lambda item: item[0][::-1]):
        for symbol in runs[0]["entries"]:
            shares = (between(run[kind][symbol] for run in runs) for kind in ("entries", "squares"))
            squares = [run["by_l"]["squares"][symbol] for run in runs]
            by_l = (between(run[degree] for run in squares) for degree in range(len(squares[0])))
            columns = (name, base, method, f"{changed} %", len(runs), symbol, *shares, *by_l)
            yield f"| {' | '.join(map(str, columns))} |"


def next_frame_lines(rows: list[dict[str, Any]]) -> Iterable[str]:
    """One table line a choice and test; ratios to random frames within each seed, mean and values of the seeds."""
    settings = dict.fromkeys((row["cell"]["name"], row["cell"]["base"], row["cell"]["choice"]) for row in rows)
    for name, base, choice in settings:
        own, random = (
            {
                row["cell"]["seed"]: row["force_error_mev_per_ang"]
                for row in rows
                if (row["cell"]["name"], row["cell"]["base"], row["cell"]["choice"]) == (name, base, wanted)
            }
            for wanted in (choice, "random")
        )
        seeds = sorted(own.keys() & random.keys())
        for test in own[seeds[0]] if seeds and choice != "random" else ():
            maes = (sum(errors[seed][test]["mae"] for seed in seeds) / len(seeds) for errors in (random, own))
            ratios = (
                as_ratios([own[seed][test][kind] / random[seed][test][kind] for seed in seeds])
                for kind in ("mae", "rmse", "p95", "max")
            )
            columns = (name, base, test, choice, *(f"{mae:.1f}" for mae in maes), *ratios)
            yield f"| {' | '.join(columns)} |"


def as_ratios(ratios: list[float]) -> str:
    """Mean of some ratios, and the single ones."""
    return f"{sum(ratios) / len(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"


def robustness_lines(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """One table line a cell."""
    for row in rows:
        cell, drift, holes, runs = row["cell"], row["drift"]["all"], row["holes"], row["dynamics"]
        columns = (
            cell["name"],
            cell["label"],
            row["lr"],
            cell["steps"],
            f"{row['test']['force_mae_mev_per_ang']:.1f}",
            *(f"{drift[f'{name}_median']:.3g} ({drift[f'{name}_p90']:.3g})" for name in DRIFTS),
            *(f"{holes[name]['holes']} / {holes[name]['scans']}" for name in ("dimers", "compression")),
            f"{runs['survived']} / {runs['runs']}",
            row["level"],
        )
        yield f"| {' | '.join(map(str, columns))} |"


def spin_order_lines(rows: list[dict[str, Any]]) -> Iterable[str]:
    """One table line a method."""

    def mean(values: Iterable[float | None], digits: int) -> str:
        known = [value for value in values if value is not None]
        return f"{sum(known) / len(known):.{digits}f}" if known else ""

    for label in dict.fromkeys(row["cell"]["label"] for row in rows):
        runs = [row for row in rows if row["cell"]["label"] == label]
        tests, orders = [row["final"]["test"] for row in runs], [row["order_energies"] for row in runs]
        columns = (
            label,
            str(len(runs)),
            f"{mean((100 * row['changed_fraction_model'] for row in runs), 1)} %",
            mean((row["valid_loss"] for row in runs), 4),
            mean((test["energy_mae_mev_per_atom"] for test in tests), 1),
            mean((test["force_mae_mev_per_ang"] for test in tests), 1),
            mean((test["moment_mae_mub"] for test in tests), 3),
            mean((row["magnitude_mae_mub"] for row in runs), 3),
            mean((order["mae_mev_per_atom"] for order in orders), 1),
            f"{mean((100 * order['ranked_right'] for order in orders), 0)} %",
        )
        yield f"| {' | '.join(columns)} |"
    for row in rows_of(RESULTS / "chgnet_moments.jsonl"):
        if row["set"] == SPIN_SET:
            yield f"| CHGNet {'|' * 7} {row['magnitude_mae_mub']:.3f} | | |"


def search_lines(storage: str | BaseStorage) -> Iterable[str]:
    """One table line a study."""
    for name in sorted(optuna.get_all_study_names(storage)):
        study = optuna.load_study(study_name=name, storage=storage)
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(trials) < ENOUGH_TRIALS:
            continue
        at_default = [trial.value for trial in trials if trial.params["lr_factor"] == 1 and trial.value is not None]
        options = {key: value for key, value in study.best_params.items() if key != "lr_factor"}
        columns = (
            name,
            len(trials),
            f"{min(at_default):.5f}" if at_default else "",
            f"{study.best_value:.5f}",
            f"{study.best_trial.user_attrs['lr']:.2g}",
            ", ".join(f"{key}={value}" for key, value in options.items()),
        )
        yield f"| {' | '.join(map(str, columns))} |"


def main() -> None:
    """Write the page and its figure."""
    draw_sizes(FIGURES / "sizes.png")
    tables = [
        (TABLE.format(table=table, title=title, text=text), pivot_lines(table, kind) if kind else list_lines(table))
        for table, (title, kind, text) in TABLES.items()
    ]
    accuracy, cost = accuracy_lines(rows_of(RESULTS / "accuracy.jsonl")), cost_lines(rows_of(RESULTS / "cost.jsonl"))
    physics = physics_lines(rows_of(RESULTS / "physics.jsonl"))
    robust = robustness_lines(sorted(rows_of(RESULTS / "robustness.jsonl"), key=lambda row: str(row["cell"]["name"])))
    searches = search_lines(storage_of(None)) if STUDIES.exists() else ()
    bank = bank_lines(rows_of(RESULTS / "ensemble.jsonl"))
    parts = (
        *tables,
        (ROBUSTNESS, robust),
        (SPIN_ORDERS, spin_order_lines(rows_of(RESULTS / "spin_orders.jsonl"))),
        (SEARCH, searches),
        (COST, cost),
        (TIME_TO_ACCURACY, time_lines(rows_of(RESULTS / "time_to_accuracy.jsonl"))),
        (BANK, bank),
        (PHYSICS, physics),
        (SUPPORTS, support_lines(rows_of(RESULTS / "supports.jsonl"))),
        (ELEMENTS, element_lines(rows_of(RESULTS / "elements.jsonl"))),
        (NEXT_FRAMES, next_frame_lines(rows_of(RESULTS / "next_frames.jsonl"))),
        (ACCURACY, accuracy),
    )
    filled = [(head, found) for head, lines in parts if (found := list(lines))]
    PAGE.write_text(HEAD + "".join(f"{head}{chr(10).join(lines)}\n" for head, lines in filled))


if __name__ == "__main__":
    main()
