"""Frames with the largest errors, with a 3D view of each."""

from typing import Any

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from markupsafe import Markup

from equisparse.quantities import ENERGY, FORCES
from equisparse.report.html import elements
from equisparse.report.statistics import frame_errors, worst_frames
from equisparse.report.table import Cell, Number, Table
from equisparse.run.folder import Run
from equisparse.run.predictions import Floats, SplitPredictions
from equisparse.wording import counted

_COUNT = 12


def structures(run: Run) -> Markup | None:
    """Table of the worst frames and a viewer."""
    if (split := run.predictions) is None or not (frames := worst_frames(split, _COUNT)):
        return None
    energies, forces = frame_errors(split, ENERGY), frame_errors(split, FORCES)
    header = [
        "frame",
        "file",
        "atoms",
        "force MAE, base (meV/Angstrom)",
        "fine-tuned",
        "energy error, base (meV/atom)",
        "fine-tuned",
    ]
    rows: list[list[Cell]] = [
        [
            Markup('<button type="button" data-frame="{0}">{0}</button>').format(frame),
            frame_origin(split, frame),
            int(split.n_atoms[frame]),
            *(Number(_finite(errors[frame])) for errors in (*forces, *energies)),
        ]
        for frame in frames
    ]
    data = {"frames": {str(frame): _structure(split, frame) for frame in frames}, "elements": _elements(split, frames)}
    shown = counted(len(frames), f"{run.judged} frame")
    text = f"The {shown} with the largest errors after fine-tuning. Select a frame to view it."
    parts = [
        elements.paragraph(text),
        elements.table(Table(header, rows)),
        _VIEWER,
        elements.json_data(data, "structures"),
    ]
    return Markup("").join(parts)


_VIEWER = Markup(
    '<figure><div class="controls"><label>Arrows <select id="arrows">'
    '<option value="error_after">force error, fine-tuned</option>'
    '<option value="error_before">force error, base</option>'
    '<option value="force">reference force</option></select></label></div>'
    '<div id="viewer" style="height:460px" role="img" aria-labelledby="viewer-caption"></div>'
    '<figcaption id="viewer-caption"></figcaption></figure>'
)


def _structure(split: SplitPredictions, frame: int) -> dict[str, Any]:
    """Plain values of one frame for the viewer."""
    atoms = split.atoms_of(frame)
    reference = split.labels[FORCES][atoms]
    return {
        "label": frame_origin(split, frame),
        "numbers": split.numbers[atoms].tolist(),
        "positions": _plain(split.positions[atoms], 3),
        "cell": _plain(split.cell[frame], 3),
        "force": _plain(reference, 4),
        "error_before": _plain(split.before[FORCES][atoms] - reference, 4),
        "error_after": _plain(split.after[FORCES][atoms] - reference, 4),
    }


def frame_origin(split: SplitPredictions, frame: int) -> str:
    """File and index of a frame, such as ``test.xyz, frame 3 (compressed)``."""
    kind = split.config_type[frame]
    return f"{split.source[frame]}, frame {split.index[frame]}" + (f" ({kind})" if kind else "")


def _elements(split: SplitPredictions, frames: list[int]) -> dict[str, Any]:
    """Symbol, colour and radius (Angstrom) of the elements of some frames."""
    numbers = np.unique(np.concatenate([split.numbers[split.atoms_of(frame)] for frame in frames]))
    return {
        str(z): {
            "symbol": chemical_symbols[z],
            "color": "#" + "".join(f"{round(255 * part):02x}" for part in jmol_colors[z]),
            "radius": float(covalent_radii[z]),
        }
        for z in numbers
    }


def _plain(values: Floats, digits: int) -> list[list[float]]:
    """Rounded lists, with zero for NaN."""
    rows: list[list[float]] = np.round(np.nan_to_num(values), digits).tolist()
    return rows


def _finite(value: float) -> float | None:
    """The value; None for NaN."""
    return float(value) if np.isfinite(value) else None
