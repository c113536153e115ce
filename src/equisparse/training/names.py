"""Names of the files that training writes; reading them needs no trainer."""

CURVE = "metrics.csv"
"""Learning curve, in the folder of a run."""
CHECKPOINTS = "checkpoints"
"""Name of the folder of checkpoints in the folder of a run."""
LAST = "last.ckpt"
"""Name of the checkpoint to resume from, in the folder of checkpoints."""
