"""Extended XYZ files with mixtures of labels by the thousand: ``python tests/fuzz/label_files.py 10000``.

Each file has one to four frames whose headers and columns are drawn: usual names, several names of one label, values
that agree, contradict each other or are no numbers, weights, frames with and without a cell. It is known beforehand
whether the file must be refused, and else every label, its name and its weight: nothing may be lost. One file in four
is also damaged at random: it is then refused, or read without any other exception. Every file goes through the command.
"""

import contextlib
import io
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from equisparse.cli import main
from equisparse.data.frames import LabelledFrame
from equisparse.data.read import read_frames
from equisparse.data.summary import count_frame_labels
from equisparse.errors import EquisparseError
from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity

ELEMENTS = ("Mg", "O", "H")
WEIGHTS = {
    "config_weight": "frame",
    "data_weight": "frame",
    "config_energy_weight": "energy",
    "energy_weight": "energy",
    "config_forces_weight": "force",
    "force_weight": "force",
    "config_stress_weight": "stress",
    "config_virials_weight": "virial",
}
"""Name of a weight -> what it weighs."""
NO_NUMBERS = {
    ENERGY: ("", "=T", "=F", "=low", "=None", '="1.0 2.0"', '="-3 eV"', '=""', "=-1.0D+01", "=1+1j"),
    STRESS: ("", "=T", "=none", "=0.5", '="1 2 3 4 5"', '="T T T T T T T T T"'),
}
NOISE = (
    "config_type=a",
    "total_energy=1.5",
    "step=3",
    'comment="a b=c"',
    "Energy=-9.0",
    "dipole_moment=0.1",
    "ok=T",
    'note=""',
)


@dataclass
class Expected:
    """Expected result of reading one frame.

    `labels` are the value and the name of each label; `refused` says whether the file must be refused because of it.
    """

    refused: bool = False
    labels: dict[Quantity, tuple[np.ndarray, str]] = field(default_factory=dict)
    weights: dict[Quantity, float] = field(default_factory=dict)
    has_cell: bool = True


@dataclass
class Frame:
    """A frame in the making."""

    random: Random
    n_atoms: int
    volume: float
    header: list[str] = field(default_factory=list)
    columns: list[tuple[str, str, list[list[str]]]] = field(default_factory=list)


def made_file(random: Random) -> tuple[str, list[Expected]]:
    """Text of a file, and what must come of its frames."""
    frames = [made_frame(random) for _ in range(random.randint(1, 4))]
    return "".join(text for text, _ in frames), [expected for _, expected in frames]


def made_frame(random: Random) -> tuple[str, Expected]:
    """Text of one frame, and what must come of it."""
    edge = random.uniform(3.0, 6.0)
    has_cell = random.random() < 0.8
    frame = Frame(random, random.randint(1, 3), edge**3 if has_cell else 0.0)
    if has_cell:
        frame.header += [
            f'Lattice="{edge!r} 0 0 0 {edge!r} 0 0 0 {edge!r}"',
            f'pbc="{random.choice(("T T T", "T T F"))}"',
        ]
    weights, bad_weights = made_weights(frame)
    expected = Expected(refused=bad_weights, has_cell=has_cell)
    for quantity in (ENERGY, FORCES, STRESS):
        add_labels(frame, quantity, weights, expected)
    frame.header += random.sample(NOISE, random.randint(0, 3))
    text = frame_text(frame)
    expected.refused |= any(item.endswith('=""') for item in frame.header[:-1])  # each would swallow the next key
    return text, expected


def made_weights(frame: Frame) -> tuple[dict[str, float], bool]:
    """Weights by what they weigh, and whether they must be refused; they are added to the header."""
    random, refused = frame.random, False
    weights: dict[str, float] = {}
    chosen = random.sample(list(WEIGHTS), random.choice((0, 0, 0, 1, 2)))
    for name in chosen:
        if random.random() < 0.05:
            frame.header.append(name + random.choice(("", "=-1", "=high", "=nan", '="1 0"')))
            refused = True
            continue
        weight = random.choice((0.0, 0.5, 1.0, 2.0))
        frame.header.append(f"{name}={weight!r}")
        refused |= weights.get(WEIGHTS[name], weight) != weight
        weights[WEIGHTS[name]] = weight
    return weights, refused


def add_labels(frame: Frame, quantity: Quantity, weights: dict[str, float], expected: Expected) -> None:
    """Draw the labels of a quantity under some of its names, and say what must come of them."""
    random = frame.random
    right = true_value(frame, quantity)
    names = random.sample(quantity.label_keys, random.choices((0, 1, 2, 3), (3, 6, 2, 1))[0])
    kinds = {
        name: random.choices(("right", "rounded", "other", "nan", "bad"), (12, 4, 1, 0.5, 0.5))[0] for name in names
    }
    for name, kind in kinds.items():
        write_label(frame, quantity, name, kind, right)
    ordered = sorted(names, key=quantity.label_keys.index)
    weighed = {name: weights.get("frame", 1.0) * weights.get(weighed_by(quantity, name), 1.0) for name in ordered}
    used = [name for name in ordered if weighed[name] > 0]
    if chosen := (used or ordered)[:1]:
        expected.weights |= {quantity: weighed[chosen[0]]} if weighed[chosen[0]] != 1 else {}
    without_cell = any("virial" in name for name in used) and not frame.volume
    values = {kind if kind != "rounded" else "right" for kind in (kinds[name] for name in used)}
    expected.refused |= without_cell or "bad" in values or len(values) > 1
    expected.refused |= any(kinds[name] == "bad" for name in names if name in ("stress", "virial"))  # ASE needs nine
    expected.refused |= any(type_.startswith("L") for _, type_, _ in frame.columns)
    if used and not expected.refused:
        value = {"right": right, "other": other_value(right), "nan": np.full_like(right, np.nan)}[values.pop()]
        expected.labels[quantity] = (value, used[0])


def weighed_by(quantity: Quantity, name: str) -> str:
    """Return the kind of weight that applies to a label stored under a name."""
    return "virial" if "virial" in name else quantity.singular


def true_value(frame: Frame, quantity: Quantity) -> np.ndarray:
    """Label of a quantity in its unit."""
    random = frame.random
    if quantity == ENERGY:
        return np.array(random.uniform(-1e4, 1e3))
    if quantity == FORCES:
        return np.array([[random.uniform(-5, 5) for _ in range(3)] for _ in range(frame.n_atoms)])
    half = np.array([[random.uniform(-0.1, 0.1) for _ in range(3)] for _ in range(3)])
    return half + half.T


def other_value(right: np.ndarray) -> np.ndarray:
    """A value that contradicts the right one."""
    return right + 0.7


def write_label(frame: Frame, quantity: Quantity, name: str, kind: str, right: np.ndarray) -> None:
    """Add a label to the header or the columns of a frame."""
    value = {"other": other_value(right), "nan": np.full_like(right, np.nan)}.get(kind, right)
    if quantity == FORCES:
        frame.columns.append(force_column(frame, name, kind, value))
    elif kind == "bad":
        frame.header.append(name + frame.random.choice(NO_NUMBERS[quantity]))
    else:
        stored = stored_stress(frame, name, value) if quantity == STRESS else value
        digits = [repr(float(x)) if kind != "rounded" else f"{x:.4f}" for x in np.ravel(stored)]
        frame.header.append(f'{name}="{" ".join(digits)}"')


def stored_stress(frame: Frame, name: str, value: np.ndarray) -> np.ndarray:
    """Stress in the convention of a name, as a matrix or, where ASE allows it, as six components."""
    factor = -(frame.volume or 1.0) if "virial" in name else -1.0 if name == "y_stress" else 1.0
    matrix = factor * value
    if name in ("stress", "virial") or frame.random.random() < 0.6:
        return matrix
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = matrix
    return np.array([xx, yy, zz, xy, yz, xz] if name == "y_stress" else [xx, yy, zz, yz, xz, xy])


def force_column(frame: Frame, name: str, kind: str, value: np.ndarray) -> tuple[str, str, list[list[str]]]:
    """Name, type and cells of a column of forces."""
    if kind == "bad":
        texts = [] if name == "forces" else [("S:3", "a", 3)]  # which ASE converts itself
        type_, cell, width = frame.random.choice([("L:3", "T", 3), ("R:2", "0.5", 2), ("R:4", "0.5", 4), *texts])
        return name, type_, [[cell] * width for _ in range(frame.n_atoms)]
    cells = [[repr(float(x)) if kind != "rounded" else f"{x:.3f}" for x in row] for row in value]
    return name, "R:3", cells


def frame_text(frame: Frame) -> str:
    """Text of a frame."""
    random = frame.random
    random.shuffle(frame.header)
    random.shuffle(frame.columns)
    properties = "Properties=" + ":".join(
        ["species:S:1:pos:R:3", *(f"{name}:{type_}" for name, type_, _ in frame.columns)]
    )
    lines = [str(frame.n_atoms), " ".join([properties, *frame.header])]
    for atom in range(frame.n_atoms):
        cells = [cell for _, _, rows in frame.columns for cell in rows[atom]]
        lines.append(" ".join([random.choice(ELEMENTS), "0.0", "0.0", repr(1.7 * atom), *cells]))
    return "\n".join(lines) + "\n"


def damaged(text: str, random: Random) -> str:
    """The same text with one to three characters, words or lines changed."""
    for _ in range(random.randint(1, 3)):
        place, lines = random.randint(0, len(text)), text.split("\n")
        match random.randint(0, 4):
            case 0:
                text = text[:place]
            case 1:
                text = text[:place] + random.choice('"={}[]:,\\ \tTnan-e\u00e9\0') + text[place:]
            case 2:
                text = text[:place] + text[place + random.randint(1, 5) :]
            case 3:
                line = random.randrange(len(lines))
                text = "\n".join([*lines[:line], *lines[line : line + 1] * random.choice((0, 2)), *lines[line + 1 :]])
            case _:
                words = text.split(" ")
                words[random.randrange(len(words))] = random.choice(("", "T", "nan", "1e400", "-", "9" * 30, "energy"))
                text = " ".join(words)
    return text


def check(path: Path, expected: list[Expected]) -> str:
    """Read a file and compare; raises what must not happen. Returns ``read`` or ``refused``."""
    refused = any(frame.refused for frame in expected)
    try:
        frames = read_frames(path)
    except EquisparseError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert refused, f"a good file is refused: {message}"
        assert path.name in message, f"the file is not named: {message}"
        assert "frame" in message or "Cannot read" in message, f"the frame is not named: {message}"
        return "refused"
    assert not refused, "a file is read that must be refused"
    assert len(frames) == len(expected), "frames are lost"
    for frame, wanted in zip(frames, expected, strict=True):
        compare(frame, wanted)
    counted = {count.quantity: count.frames for count in count_frame_labels(frames)}
    assert counted == expected_counts(expected), "the counts differ from what is in the file"
    return "read"


def compare(frame: LabelledFrame, wanted: Expected) -> None:
    """Compare the labels, names and weights of a frame with those that must come of it."""
    assert set(frame.labels) == set(wanted.labels), "labels are lost or made up"
    assert dict(frame.weights) == wanted.weights
    for quantity, (value, name) in wanted.labels.items():
        assert frame.names[quantity.name] == name
        np.testing.assert_allclose(frame.labels[quantity], value, rtol=1e-6, atol=6e-4)


def expected_counts(expected: list[Expected]) -> dict[str, int]:
    """Number of frames with a finite label that can be used, by quantity."""
    counts = Counter({quantity.name: 0 for quantity in (ENERGY, FORCES, STRESS)})
    for frame in expected:
        for quantity, (value, _) in frame.labels.items():
            counts[quantity.name] += bool(np.isfinite(value).all()) and (frame.has_cell or quantity != STRESS)
    return dict(counts)


def command(path: Path) -> int:
    """Exit code of the audit of a file."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return main(["audit", str(path)])


def is_read(path: Path) -> bool:
    """Return whether a file is read; it may be refused, and nothing else."""
    try:
        return len(read_frames(path)) > 0
    except EquisparseError:
        return False


def try_one(path: Path, random: Random) -> str:
    """Try one file; returns what came of it."""
    text, expected = made_file(random)
    if random.random() < 0.25:
        path.write_text(damaged(text, random), encoding="utf-8")
        outcome = f"damaged, {'read' if is_read(path) else 'refused'}"
        assert command(path) in (0, 2)
    else:
        path.write_text(text, encoding="utf-8")
        outcome = check(path, expected)
        assert command(path) in ((2,) if outcome == "refused" else (0, 2))
    return outcome


def fuzz(count: int, report: Callable[[str], object] = print) -> Counter[str]:
    """Try `count` files; raises what must not happen, and shows the file that makes it happen."""
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.extxyz")

        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(st.integers(0, 2**62))  # a seed: Hypothesis would draw most numbers near 0
        def one(seed: int) -> None:
            seen[try_one(path, Random(seed))] += 1  # noqa: S311  no cryptography

        start = time.monotonic()
        try:
            one()
        except BaseException:
            traceback.print_exc()
            report(path.read_text(encoding="utf-8"))
            raise
    report(f"{seen.total()} files in {time.monotonic() - start:.0f} s: {dict(seen)}")
    return seen


if __name__ == "__main__":
    fuzz(int(sys.argv[1]))
