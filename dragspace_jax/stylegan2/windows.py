"""Which part of each block a drag needs: the static geometry of a pass in windows.

A window is chosen at the finest block and followed downwards: the second convolution of a block reads one position more
on each side than it gives, and output m of the first, up-sampling one reads inputs ⌊m/2⌋-1 … ⌊m/2⌋+1 of the block
below. So a window that begins at o begins at ⌊(o-1)/2⌋-1 one block down, and the parity stays behind as an offset:
aligning it costs no width. Windows of the smallest blocks would cover them many times over, so those are computed
whole, and all handles share them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from jaxtyping import Array, Int32

from dragspace_jax.stylegan2.config import GeneratorConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockWindow:
    """The window of one block.

    Attributes:
      resolution: the block's.
      reads: side of the window of the block below that its first convolution reads.
      gives: side of the window that its second convolution gives.
    """

    resolution: int
    reads: int
    gives: int

    @property
    def between(self) -> int:
        """Side of what its second convolution reads."""
        return self.gives + 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """A pass that runs the blocks below `blocks` whole and these in windows, one a handle; hashable.

    Attributes:
      top: the block whose features are wanted.
      blocks: the windowed blocks, from the lowest up to `top`; empty if all run whole.
    """

    top: int
    blocks: tuple[BlockWindow, ...]

    def narrowed(self, size: int) -> WindowPlan:
        """The same blocks in windows of `size` positions at `top`."""
        blocks = _chain([block.resolution for block in self.blocks], size)
        return dataclasses.replace(self, blocks=tuple(blocks))

    def multiply_adds(self, config: GeneratorConfig) -> int:
        """Of the convolutions of a window, from the lowest block that has one."""
        return sum(_multiply_adds(config, block.resolution, block.reads, block.gives) for block in self.blocks)

    def origins(self, origin_yx: Int32[Array, "N 2"]) -> dict[int, tuple[Int32[Array, "N 2"], Int32[Array, "N 2"]]]:
        """Where the windows lie.

        Args:
          origin_yx: the windows' origins at `top`.

        Returns:
          {resolution: (what its first convolution reads of the block below, what its second convolution gives)}.
        """
        found = {}
        for block in reversed(self.blocks):
            below = ((origin_yx - 1) >> 1) - 1
            found[block.resolution] = (below, origin_yx)
            origin_yx = below
        return found


def _reads(gives: int) -> int:
    """Inputs that `gives` + 2 consecutive outputs of an up-sampling convolution read, whatever their parity."""
    return gives // 2 + 4


def window_chain(config: GeneratorConfig, top: int, size: int) -> list[BlockWindow]:
    """All blocks from 8 up to `top` in windows, such that block `top` gives size × size positions."""
    return _chain([r for r in config.block_resolutions if 4 < r <= top], size)


def _chain(resolutions: Sequence[int], size: int) -> list[BlockWindow]:
    """Windows of blocks, from the lowest up, the last of which gives size × size positions."""
    chain = []
    for resolution in reversed(resolutions):
        window = BlockWindow(resolution=resolution, reads=_reads(size), gives=size)
        chain.append(window)
        size = window.reads
    return chain[::-1]


def plan_windows(config: GeneratorConfig, top: int, size: int, handles: float) -> WindowPlan:
    """The plan with the fewest multiply-adds for `handles` windows an image of size × size positions at block `top`.

    What a set of handles shares is thereby computed once: the more handles, the more of the lower blocks run whole.
    """
    chain = window_chain(config, top, size)
    whole = [_multiply_adds(config, window.resolution, window.resolution // 2, window.resolution) for window in chain]
    cut = [handles * _multiply_adds(config, w.resolution, w.reads, w.gives) for w in chain]
    # Ties go to the whole map: fewer windows to cut.
    start = min(range(len(chain), -1, -1), key=lambda i: sum(whole[:i]) + sum(cut[i:]))
    return WindowPlan(top=top, blocks=tuple(chain[start:]))


def _multiply_adds(config: GeneratorConfig, resolution: int, reads: int, gives: int) -> int:
    """Of a block's two convolutions, for `reads`² inputs of the first and `gives`² outputs of the second."""
    below, channels = config.block_channels(resolution // 2), config.block_channels(resolution)
    return 9 * channels * (reads**2 * below + gives**2 * channels)
