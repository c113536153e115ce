"""Published models by name, in the folder where nequix keeps them too."""

import shutil
import urllib.error
import urllib.request
from pathlib import Path

from equisparse.backbones.pickles import check_sha256
from equisparse.errors import BackboneError
from equisparse.files import make_folder, replacing

MODELS = {
    "nequix-mp-1": "1647af8e627e1afa11e2bfadeab0797326513a521afd7dd01606a96f56783eee",
    "nequix-mp-1-pft": "a88aeaed71fd447572dc57af21d469207d7737b85a6dbb66f8c38156f175c5f1",
    "nequix-omat-1": "2d0802ae7f5915cb488c44d25649d98404a103697e6500abb40f515e003a46a6",
    "nequix-oam-1": "6a43475eaeb32a7a049f36c1306d78aa1e7a17e8af37aeda7901c8fec0ca845c",
    "nequix-oam-1-pft": "4ce693d68886512aab50c84ea2400efd68163e11155f7c7babe98e695177e809",
}
"""Name -> SHA-256 of the file."""

_URL = "https://github.com/atomicarchitects/nequix/raw/9c852a9c4cce69ae5e75bc5a2cf670be21ff8c28/models"
_SECONDS = 30
"""Longest wait for an answer of the server."""


def located(source: str) -> Path:
    """File of a model, by name or path; a published model is downloaded once, and checked.

    Raises
    ------
    BackboneError
        If there is no such file or name, or it cannot be downloaded.
    """
    path = Path(source)
    if path.is_file():
        return path
    if source not in MODELS:
        raise BackboneError(
            "There is no such Nequix model.",
            given=source,
            expected="a file ending in .nqx, or one of " + ", ".join(MODELS),
            cause="a misspelt name or path",
        )
    kept = Path.home() / ".cache" / "nequix" / "models" / f"{source}.nqx"
    if not kept.is_file():
        _download(f"{_URL}/{source}.nqx", kept)
    check_sha256(kept, MODELS[source])
    return kept


def _download(url: str, path: Path) -> None:
    """Download a file, completely or not at all."""
    make_folder(path.parent)
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer, replacing(path) as file:  # noqa: S310  https
            shutil.copyfileobj(answer, file)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise BackboneError(
            "The model cannot be downloaded.",
            given=url,
            cause=str(error),
            next_step=f"download the file elsewhere, and give its path or copy it to {path}",
        ) from error
