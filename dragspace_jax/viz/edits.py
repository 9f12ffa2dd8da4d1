"""What edits do to an image: before, after and where it changed; and sheets of positions along several edits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.rendering import render_batches, render_images
from dragspace_jax.viz.grids import labelled_grid
from dragspace_jax.viz.heat import heat_map, squared_change, with_legend
from dragspace_jax.viz.sheets import enlarged, side_by_side, thumbnail, to_uint8

_SHOWN = 256  # of one that stands alone, at least


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EditPictures:
    """An edit in pictures.

    Attributes:
      before, after: as the model makes them.
      change: where they differ, enlarged, with its legend.
      sheet: the three side by side.
      inside, outside: mean squared change in the region and in the rest; without a region `inside` is all of it.
    """

    before: UInt8[np.ndarray, "H W 3"]
    after: UInt8[np.ndarray, "H W 3"]
    change: UInt8[np.ndarray, "h w 3"]
    sheet: UInt8[np.ndarray, "h w 3"]
    inside: float
    outside: float | None

    def named(self) -> dict[str, np.ndarray]:
        """The pictures by the names of their files."""
        shown = {"before": self.before, "after": self.after, "change": self.change, "sheet": self.sheet}
        return {f"{name}.png": picture for name, picture in shown.items()}

    def told(self) -> str:
        """The change in words."""
        if self.outside is None:
            return f"mean squared change {self.inside:.3g}"
        return f"mean squared change {self.inside:.3g} in the region, {self.outside:.3g} outside"


def edit_pictures(model: Generator, pair: Latents, region: Bool[np.ndarray, "H W"] | None) -> EditPictures:
    """Pictures of an edit from its latents before and after, [2, L, D]; the region is outlined."""
    images = render_images(model, pair)
    change = squared_change(images[0], images[1])
    greatest = float(change.max())
    before, after = to_uint8(images)
    heat = _large(heat_map(change, greatest=greatest, region=region))
    sheet = side_by_side(
        [enlarged(before, _SHOWN), enlarged(after, _SHOWN), heat], titles=["start", "edited", "change"]
    )
    outlined = region is not None
    return EditPictures(
        before=before,
        after=after,
        change=with_legend(heat, greatest, outlined=outlined),
        sheet=with_legend(sheet, greatest, outlined=outlined),
        inside=float(change.mean() if region is None else change[region].mean()),
        outside=None if region is None else float(change[~region].mean()),
    )


def position_sheet(
    model: Generator,
    start: Latents,
    along: Latents,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    region: Bool[np.ndarray, "H W"] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A row an edit, a column a position, and last where the image changes on average over the row.

    Args:
      model: the generator.
      start: of one image, [1, L, D], which changes are measured against.
      along: at P positions along R edits, edit by edit: [R·P, L, D].
      rows: R texts.
      columns: P texts.
      region: to be outlined.
      on_progress: called with the number of images done.
    """
    first = render_images(model, start)[0]
    count = len(columns)
    pictures: list[np.ndarray] = []
    change = np.zeros((len(rows), *first.shape[:2]))
    done = 0
    for images in render_batches(model, along):
        pictures.extend(map(thumbnail, to_uint8(images)))
        for each in squared_change(first, images):
            change[done // count] += each / count
            done += 1
        if on_progress is not None:
            on_progress(done)
    greatest = float(change.max())
    heat = [thumbnail(heat_map(change[row], greatest=greatest, region=region)) for row in range(len(rows))]
    grid = labelled_grid(
        [[*pictures[row * count : (row + 1) * count], heat[row]] for row in range(len(rows))],
        rows=rows,
        columns=[*columns, "change"],
    )
    return with_legend(grid, greatest, outlined=region is not None)


def one(latents: Latents) -> Latents:
    """One image's latents as a batch of one."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], latents)


def _large(image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Enlarged as pictures are, but pixel by pixel: a thin line stays one."""
    side = len(enlarged(image, _SHOWN))
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.NEAREST))
