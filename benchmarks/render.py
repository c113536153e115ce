"""Render the committed results as docs/benchmarks.md.

python benchmarks/render.py
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `python benchmarks/render.py` from `benchmarks/results/*.jsonl`; each line there names its command's options,
seed, versions and machine. Errors are mean absolute errors on all test frames of the set. "Changed" and "stored" are
counted over all parameters of the base, 7net-0 (842,623).
"""
ACCURACY = """
## Accuracy

`python benchmarks/accuracy.py --folder FOLDER --name NAME ...`; rMD17 with 100 training, 50 validation and 1000 test
frames, batch 10, AdamW annealed to zero, method defaults unless named.

| set | method | steps | seed | lr | changed | stored values | adapter bytes | F meV/A | E meV/atom |
|---|---|---|---|---|---|---|---|---|---|
"""
COST = """
## Cost

`python benchmarks/cost.py --frames FILE --name NAME`; medians of ratios within interleaved rounds, on the CPU; peak
memory of a process of its own per variant.

| set | batch | threads | variant | step / full step | peak memory / full |
|---|---|---|---|---|---|
"""


def rows_of(name: str) -> list[dict[str, Any]]:
    """Results of one file; none if it is not there."""
    path = HERE / "results" / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def accuracy_lines(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """One table line a cell."""
    for row in rows:
        cell, wishes = row["cell"], []
        if cell["method"] in (None, "sparse") and not (cell["changed"] or cell["budget"]):
            wishes.append(f"regime {cell['regime']}")
        wishes += [
            f"{key} {cell[key]}" for key in ("changed", "budget", "optimizer") if cell[key] not in (None, "adamw")
        ]
        columns = (
            cell["name"],
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
        place = f"| {row['data']} | {row['batch_size']} | {row['threads']} |"
        for variant, ratio in row["step_over_full"].items():
            spread = f"{ratio['median']:.3f} ({ratio['q25']:.3f} to {ratio['q75']:.3f})"
            yield f"{place} {variant} | {spread} | {row['peak_memory_over_full'][variant]:.3f} |"
        merged = row["merged_inference_over_base"]["merged"]
        yield f"{place} merged inference / base inference | {merged['median']:.3f} | |"


def main() -> None:
    """Write the page."""
    accuracy, cost = accuracy_lines(rows_of("accuracy.jsonl")), cost_lines(rows_of("cost.jsonl"))
    PAGE.write_text(HEAD + ACCURACY + "\n".join(accuracy) + "\n" + COST + "\n".join(cost) + "\n")


if __name__ == "__main__":
    main()
