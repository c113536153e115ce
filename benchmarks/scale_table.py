"""Write the measurements of scale.py into docs/large-data.md: ``python benchmarks/scale_table.py``."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "large-data.md"
START, END = "<!-- scale.jsonl: begin -->", "<!-- scale.jsonl: end -->"
NAMES = {
    "audit": "audit without a base",
    "finetune": "fine-tune of a small SevenNet, batches of 50, `--cache 0.02 --workers 1`, one epoch, or 100 steps of "
    "100,000 frames",
}


def main() -> None:
    """Replace the tables of the page."""
    rows = [json.loads(line) for line in (ROOT / "benchmarks/results/scale.jsonl").read_text().splitlines()]
    text = PAGE.read_text()
    before, rest = text.split(START)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{START}\n\n{tables(rows)}\n\n{END}{after}")


def tables(rows: list[dict[str, Any]]) -> str:
    """Memory and time against the number of frames, then the share of waiting and the speed of several processes."""
    lines = [
        "| measurement | frames | time, s | CPU time per frame, ms | largest memory, MB | of it before the start, MB |",
        "|---|---|---|---|---|---|",
    ]
    for what, name in NAMES.items():
        for row in sorted((row for row in rows if row["what"] == what), key=lambda row: int(row["frames"])):
            memory = f"{row['megabytes']} | {row['megabytes_before']}"
            lines.append(f"| {name} | {row['frames']:,} | {row['seconds']} | {cpu_per_frame(row)} | {memory} |")
    lines += ["", "| 7net-0 on a CPU, one thread per process | value |", "|---|---|"]
    for row in sorted((row for row in rows if row["what"] == "loader"), key=lambda row: int(row["workers"])):
        title = f"waiting for data, `--workers {row['workers']}`, `--cache 0`"
        lines.append(f"| {title} | {row['waiting']:.1%} of the time |")
    for row in by_processes(rows):
        number = "one process" if row["processes"] == 1 else f"{row['processes']} processes"
        lines.append(f"| {number}, load of the machine {row['load']} | {row['throughput']} |")
    return "\n".join(lines)


def by_processes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Measurements on several processes."""
    return sorted((row for row in rows if row["what"] == "processes"), key=lambda row: int(row["processes"]))


def cpu_per_frame(row: dict[str, Any]) -> str:
    """CPU time per frame, ms, with that of the import of all packages; empty if it was not measured."""
    return f"{1000 * row['cpu_seconds'] / row['frames']:.1f}" if "cpu_seconds" in row else ""


if __name__ == "__main__":
    main()
