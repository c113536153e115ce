"""Checkpoints that are written whole or not at all, on any file system."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from equisparse.files import make_folder, replacing


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the target and replaces it at once.

    Lightning's own writer goes through the system's folder for temporary files; where that is on another file system,
    its last step copies, and a run that is cut off then loses the checkpoint it had.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write one checkpoint; called by Lightning."""
        make_folder(Path(path).parent)
        with replacing(Path(path)) as file:
            torch.save(checkpoint, file)
