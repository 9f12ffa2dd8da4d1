"""How much there is to do, known before it starts, and how much of it is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is in all; in images, see `Work`."""
IMAGES_PER_DRAG = 100
"""The weight of a drag in the progress bar, in images: chosen, not measured.

What a drag takes depends on the device and on the edit; only how evenly the bar moves depends on this.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What an alignment will do.

    Attributes:
      pairs: latents to draw of either model, fitted and held-out ones together.
      images: to render and to evaluate.
      drags: edits to drag; fewer if not so many landmarks can be moved.
    """

    pairs: int
    images: int
    drags: int

    @property
    def total(self) -> int:
        """Everything in units of an image."""
        return self.images + self.drags * IMAGES_PER_DRAG


class Meter:
    """Counts images and drags and reports them."""

    def __init__(self, work: Work, on_progress: OnProgress | None) -> None:
        self._total, self._on_progress = work.total, on_progress
        self._done, self._stage = 0, ""

    def stage(self, name: str) -> None:
        """Say what comes next."""
        self._stage = name
        self.images(0)

    def images(self, count: int) -> None:
        """So many more images are done."""
        self._done = min(self._done + count, self._total)
        if self._on_progress is not None:
            self._on_progress(self._stage, self._done, self._total)

    def finish(self) -> None:
        """Nothing is left, though there may have been fewer edits than wanted."""
        self.images(self._total - self._done)

    def drags(self, count: int) -> None:
        """So many more drags are done."""
        self.images(count * IMAGES_PER_DRAG)
