"""Write the card of an adapter, and put the adapter on the Hugging Face Hub or into a folder."""

from pathlib import Path

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import ADAPTER, load_adapter
from equisparse.config.card import CardDetails
from equisparse.errors import AdapterMismatchError, InputError
from equisparse.files import make_folder, replacing, write_text
from equisparse.hub import HUB, hub_address, is_remote, upload
from equisparse.inputs.adapters import adapter_file
from equisparse.report.card.subject import CardSubject
from equisparse.report.card.text import card
from equisparse.run.files import RunFolder
from equisparse.run.folder import Run

CARD = "README.md"
"""File name of a card."""


def write_card(source: str | Path | Run, out: str | Path | None = None, *, details: CardDetails | None = None) -> Path:
    """Write the card of a run or of an adapter: a README.md as the Hugging Face Hub reads it.

    Parameters
    ----------
    source : str, Path or Run
        A finished run or its folder, or an adapter file, of which less is known.
    out : str or Path, optional
        File to write; ``README.md`` beside the adapter by default.
    details : CardDetails, optional
        Licences, origin of the data, and citation.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    EquisparseError
        If there is no adapter, or the card is invalid.
    """
    path = _file_of(source)
    out = path.parent / CARD if out is None else Path(out)
    make_folder(out.parent)
    write_text(out, card(_subject(path, details or CardDetails(), _name(path))))
    return out


def push(
    source: str | Path | Run,
    target: str | Path,
    *,
    details: CardDetails | None = None,
    private: bool = False,
    message: str = "Adapter written by equisparse push",
) -> str:
    """Put an adapter and its card on the Hugging Face Hub, or into a folder that a server offers.

    Nothing else of a run is sent: no frames, configuration, report or paths.

    Parameters
    ----------
    source : str, Path or Run
        A finished run or its folder, or an adapter file, of which the card says less.
    target : str or Path
        ``hf:USER/NAME`` or ``hf:USER/NAME@BRANCH``, or a folder. A new repository is made.
    details : CardDetails, optional
        Licences, origin of the data, and citation, for the card.
    private : bool
        Whether a new repository is private.
    message : str
        Message of the commit.

    Returns
    -------
    str
        Page of the commit, or the folder.

    Raises
    ------
    AdapterMismatchError
        If the folder holds the adapter of another base.
    EquisparseError
        If there is no adapter, the card is invalid, or the target cannot be written.
    """
    path, name = _file_of(source), str(target)
    if is_remote(name) and not name.startswith(HUB):
        raise InputError(
            "A URL cannot be written.", given=name, expected="hf:USER/NAME or a folder", next_step="give one of them"
        )
    folder, on_hub = Path(target), name.startswith(HUB)
    title = hub_address(name).repository.rpartition("/")[2] if on_hub else folder.resolve().name
    text = card(_subject(path, details or CardDetails(), title, name if on_hub else None))
    if on_hub:
        files = {ADAPTER: path.read_bytes(), CARD: text.encode()}
        return upload(hub_address(name), files, message=message, private=private)
    make_folder(folder)
    _check_replaced(folder / ADAPTER, path)
    with replacing(folder / ADAPTER) as file:
        file.write(path.read_bytes())
    write_text(folder / CARD, text)
    return str(folder)


def _file_of(source: str | Path | Run) -> Path:
    """Adapter file of a run, or the file itself."""
    return source.files.adapter if isinstance(source, Run) else adapter_file(source)


def _subject(path: Path, details: CardDetails, name: str, address: str | None = None) -> CardSubject:
    """What the card of an adapter file describes; its run if the file is the adapter of a finished one."""
    adapter, files = load_adapter(path), RunFolder(path.parent)
    run = Run(path.parent) if path.name == ADAPTER and files.metrics.is_file() else None
    return CardSubject(name, adapter, path.stat().st_size, details, run, address)


def _name(path: Path) -> str:
    """Name of an adapter: that of the folder of its run, or of its file."""
    return path.resolve().parent.name if path.name == ADAPTER else path.stem


def _check_replaced(old: Path, new: Path) -> None:
    """Raise AdapterMismatchError if a folder holds an adapter of another base."""
    if not old.is_file():
        return
    before, after = load_adapter(old), load_adapter(new)
    if before.base["sha256"] != after.base["sha256"]:
        raise _other_base(old, before, after)


def _other_base(place: Path, before: Adapter, after: Adapter) -> AdapterMismatchError:
    """Error about the adapter of another base at a place."""
    return AdapterMismatchError(
        "The folder holds the adapter of another base.",
        given=f"an adapter of {after.base['source']} for {place.parent}",
        expected=f"an adapter of {before.base['source']}",
        next_step="choose another folder",
    )
