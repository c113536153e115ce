"""Names of the files of a training, for those that read them without a trainer."""

CURVE = "metrics.csv"
"""Learning curve, in the folder of a run."""
CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints, in the folder of a run."""
LAST = "last.ckpt"
"""Checkpoint to resume from, in the checkpoint folder."""
