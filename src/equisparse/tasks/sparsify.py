"""Make an adapter sparse: remove most of its changed weights, and train those that remain."""

from pathlib import Path
from typing import TYPE_CHECKING

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import save_adapter
from equisparse.config.keywords import FinetuneOptions, shows_options
from equisparse.config.read import read_config
from equisparse.files import make_folder
from equisparse.inputs.adapters import AdapterLike, adapter_file, loaded_adapter
from equisparse.inputs.base import Base
from equisparse.inputs.frames import Frames
from equisparse.run.files import RunFolder
from equisparse.run.folder import Run
from equisparse.tasks.finetune import finetune
from equisparse.tasks.listener import Listener

if TYPE_CHECKING:
    from typing_extensions import Unpack

START = "start.safetensors"
"""File, in the folder of a run, of an adapter that was given in memory."""


@shows_options
def sparsify(
    adapter: AdapterLike,
    frames: Frames,
    *,
    valid: Frames | None = None,
    test: Frames | None = None,
    base: Base | None = None,
    out: str | Path = "equisparse-sparse",
    listener: Listener | None = None,
    report: bool = True,
    **options: "Unpack[FinetuneOptions]",
) -> Run:
    """Make an adapter sparse, whatever trained it: remove most of its changed weights, and train those that remain.

    The result is a run like that of `equisparse.finetune` with the method ``sparse``, but training starts from the
    change and the reference energies of the adapter. In the metrics of the run, the errors `refit` are those of the
    adapter, so the difference to `final` is what the removal costs.

    Parameters
    ----------
    adapter : str, Path or Adapter
        Adapter that changes weights, such as one of a dense method, or of `equisparse.extract`; it stays as it is.
    frames : files, globs, a packaged set, Atoms or labelled frames
        Training frames; best those that the adapter was trained on, or a sample of them.
    valid, test : as frames, optional
        As in `equisparse.finetune`.
    base : str, Path or AbstractBackbone, optional
        Base model of the adapter; by default that of the run in the folder of the adapter, or the published model
        that the adapter names.
    out, listener, report, **options
        As in `equisparse.finetune`; ``changed`` or ``budget`` says how many weights remain.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    EquisparseError
        If an input cannot be used. It is raised before training starts, and no file is lost.
    """
    chosen = base_of(adapter) if base is None else base
    if isinstance(adapter, Adapter):
        path = make_folder(Path(out)) / START
        save_adapter(adapter, path)
        options["start"] = str(path)
    else:
        options["start"] = str(adapter)
    return finetune(frames, valid=valid, test=test, base=chosen, out=out, listener=listener, report=report, **options)


def base_of(adapter: AdapterLike) -> str:
    """Name or file of the base of an adapter: that of its run if the adapter is in the folder of one.

    An adapter itself knows the name of its base, but not the folder of a file.

    Raises
    ------
    AdapterError
        If the file is damaged, or no adapter.
    """
    config = None if isinstance(adapter, Adapter) else RunFolder(adapter_file(adapter).parent).config
    if config is not None and config.is_file():
        return read_config(config).base
    return loaded_adapter(adapter).base["source"]
