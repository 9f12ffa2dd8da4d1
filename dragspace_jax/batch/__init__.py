"""Many edits from a file: its lines, the folder of results, going on with it."""

from dragspace_jax.batch.finished import FinishedDrags, read_finished_drags
from dragspace_jax.batch.lines import LineError
from dragspace_jax.batch.runner import run
from dragspace_jax.batch.summary import BatchState, BatchSummary
from dragspace_jax.batch.work import BatchInterrupted

__all__ = [
    "BatchInterrupted", "BatchState", "BatchSummary", "FinishedDrags", "LineError", "read_finished_drags", "run",
]  # fmt: skip
