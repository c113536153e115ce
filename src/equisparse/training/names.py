"""Names of the files of a training, for those that read them without a trainer."""

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints, in the folder of a run."""
LAST = "last.ckpt"
"""Checkpoint to resume from, in the checkpoint folder."""
