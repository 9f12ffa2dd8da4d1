"""Which edits a pool takes, and how large it is: lanes and rows of handles shall run out together."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence

from dragspace_jax.drag.pool import Job, Pool

_ROWS_PER_AVERAGE = 1.6  # measured on FreeDragBench: 93 % of lanes and of rows busy; 1.1 leaves lanes empty


def admit(pool: Pool, queue: deque[Job], *, patient: bool) -> bool:
    """Fill the pool's free lanes, each time with the edit whose handles come nearest to the rows left for a lane.

    So lanes and rows run out together, whatever the mixture of edits. The first of the queue may be passed over while
    it is `patient`; then nothing else is admitted before it.

    Returns:
      Whether the first of the queue was admitted, or there was none.
    """
    first = queue[0] if queue else None
    while queue and pool.busy < pool.lanes:
        share = (pool.handles - pool.handles_used) / (pool.lanes - pool.busy)
        window = itertools.islice(queue, 4 * pool.lanes if patient else 1)
        for job in sorted(window, key=lambda job: abs(job.handles - share)):
            if pool.admit(job):
                queue.remove(job)
                patient = patient or job is first
                break
        else:
            break
    return not queue or queue[0] is not first


def rows_for(queue: Sequence[Job], lanes: int, devices: int) -> int:
    """Rows of handles for so many lanes, with room for the greatest edit on any device.

    More than an edit has on average: edits of many handles take more iterations, so they are met in lanes more often.
    """
    counts = sorted((job.handles for job in queue), reverse=True)
    usual = math.ceil(_ROWS_PER_AVERAGE * lanes * sum(counts) / len(counts))
    most = sum(counts[:lanes]) if len(counts) >= lanes else counts[0] * lanes
    rows = min(usual, most)
    return max(multiple(rows, 4 * devices if rows > 4 * devices else devices), counts[0] * devices)


def multiple(count: int, of: int) -> int:
    """`count`, rounded up."""
    return -(-count // of) * of
