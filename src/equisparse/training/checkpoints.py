"""Atomic writes of checkpoints on any file system."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from equisparse.files import make_folder, replacing


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoint writer that writes a temporary file beside the target and then replaces the target.

    Lightning's own writer uses the system's folder for temporary files. If that is on another file system, its last
    step is a copy, and an interrupted run can lose its previous checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write one checkpoint; Lightning calls this."""
        make_folder(Path(path).parent)
        with replacing(Path(path)) as file:
            torch.save(checkpoint, file)
