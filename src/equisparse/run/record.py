"""Record of what a training was started with: its frames and its options (``checkpoints/started.json``)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from equisparse.errors import InputError
from equisparse.files import make_folder, write_text


@dataclass(frozen=True)
class RunRecord:
    """Frames and options that determine the course of a training.

    Parameters
    ----------
    epochs : int
        Number of epochs.
    options : mapping of str to object
        Option -> plain value, such as ``lr``, ``method`` or ``method_options.rank``.
    frames : mapping of str to tuple of str
        ``train``, ``valid``, ``test`` and ``replay`` -> `equisparse.data.identity.frame_digest` of each frame.
    """

    epochs: int
    options: Mapping[str, object]
    frames: Mapping[str, tuple[str, ...]]


def write_record(path: Path, record: RunRecord) -> None:
    """Replace the record of a run."""
    make_folder(path.parent)
    write_text(path, json.dumps(asdict(record), indent=1) + "\n")


def read_record(path: Path) -> RunRecord | None:
    """Read the record of a run; None if there is none, as in runs of earlier versions.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        frames = {str(name): tuple(map(str, digests)) for name, digests in values["frames"].items()}
        return RunRecord(int(values["epochs"]), dict(values["options"]), frames)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            "The record of the run is damaged, so it cannot be resumed.",
            given=str(path),
            cause=f"{type(error).__name__}: {error}",
            next_step="start a new run in another --out",
        ) from error
