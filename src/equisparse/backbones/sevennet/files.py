"""Files of SevenNet models: where they are, and how they are opened."""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sevenn.checkpoint import SevenNetCheckpoint
from sevenn.util import get_available_pretrained_models, load_checkpoint, pretrained_name_to_path

from equisparse.backbones.upstream import translate_errors


def locate(source: str) -> Path:
    """File of a model, which SevenNet downloads and keeps if `source` is a name.

    Raises
    ------
    BackboneError
        If there is no such file or name, or the download fails.
    """
    if Path(source).is_file():
        return Path(source)
    with _loading(source):
        return Path(pretrained_name_to_path(source))


def open_checkpoint(source: str) -> SevenNetCheckpoint:
    """Checkpoint of a name or file.

    Raises
    ------
    BackboneError
        If there is no such model, or SevenNet cannot load it.
    """
    with _loading(source):
        checkpoint = load_checkpoint(source)
        checkpoint.config  # noqa: B018  reads the file
    return checkpoint


@contextmanager
def quiet_upstream() -> Iterator[None]:
    """Hide SevenNet's warnings about accelerators and old checkpoints, which users of this package cannot act on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No tensor product accelerator")
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def _loading(source: str) -> AbstractContextManager[None]:
    """Translate SevenNet's errors while it loads a model."""
    return translate_errors(
        "SevenNet cannot load this model.",
        given=source,
        expected="a file written by SevenNet, or one of " + ", ".join(get_available_pretrained_models()),
        next_step="without network access, copy the checkpoint file here and give its path",
    )
