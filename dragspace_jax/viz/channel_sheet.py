"""What style channels do: images with a channel moved down and up, and where they change, a region outlined."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.grids import labelled_grid
from dragspace_jax.viz.heat import heat_map, squared_change
from dragspace_jax.viz.sheets import thumbnail, to_uint8


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ChannelRow:
    """A row of the sheet.

    Attributes:
      text: to its left.
      channel: (convolution, index).
      step: how far the channel is moved, in its own units.
      region: [H, W], true where it should act.
    """

    text: str
    channel: tuple[str, int]
    step: float
    region: Bool[np.ndarray, "H W"]


def channel_sheet(
    model: Generator,
    start: Latents,
    rows: Sequence[ChannelRow],
    *,
    on_progress: Callable[[int], None] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A row a channel: down, as it is, up, and the mean squared change, from white, none, to dark, the row's greatest.

    Args:
      model: the generator.
      start: one image's latents, ws [L, D], without offsets.
      rows: the channels.
      on_progress: called with 1 after each row.

    Raises:
      ValueError: no rows.
    """
    widths = model.synthesis.style_channels()
    pictures = []
    for row in rows:
        name, index = row.channel
        offsets = np.zeros((3, widths[name]), np.float32)
        offsets[:, index] = -row.step, 0.0, row.step
        ws = np.repeat(np.asarray(start.ws)[None], 3, axis=0)
        images = render_images(model, Latents(ws=ws, offsets={name: offsets}))
        change = squared_change(images[1], images[[0, 2]]).mean(0)
        heat = heat_map(change, greatest=float(change.max()), region=row.region)
        pictures.append([*map(thumbnail, to_uint8(images)), thumbnail(heat)])
        if on_progress is not None:
            on_progress(1)
    return labelled_grid(pictures, rows=[row.text for row in rows], columns=["-", "0", "+", "change"])
