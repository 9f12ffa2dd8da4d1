"""The multiply-adds of one drag iteration, counted convolution by convolution, and the weights it reads.

Counted is what the algorithm wants, not what a compiler makes of it: a 3×3 convolution costs 9 multiply-adds for each
pair of channels at every position it gives, a transposed one 9 at every position it reads (no tap meets an inserted
zero), a 1×1 one a single one. Filters, resizing, modulation, styles and the loss are left out: they are small in
multiply-adds, though not always in time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from dragspace_jax.stylegan2.config import GeneratorConfig

FLOAT32_BYTES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution:
    """One convolution of a pass.

    Attributes:
      name: as in the model, with the direction in front for a backward one.
      multiply_adds: its work.
      weight_bytes: the weights it reads, float32.
    """

    name: str
    multiply_adds: int
    weight_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """How many positions of a block a pass computes, all windows of an edit together.

    Attributes:
      resolution: the block's.
      conv0_inputs: positions of the block below that the transposed convolution takes; 0 for block 4, which has none.
      conv1_outputs: positions of the block's own output.
    """

    resolution: int
    conv0_inputs: int
    conv1_outputs: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """One iteration: the convolutions forward, and those that the gradient needs."""

    forward: Sequence[Convolution]
    backward: Sequence[Convolution]

    @property
    def convolutions(self) -> list[Convolution]:
        return [*self.forward, *self.backward]

    @property
    def multiply_adds(self) -> int:
        return total(self.convolutions)


def total(convolutions: Iterable[Convolution]) -> int:
    """Multiply-adds of some convolutions."""
    return sum(convolution.multiply_adds for convolution in convolutions)


def whole_spans(config: GeneratorConfig, top: int) -> list[Span]:
    """Every position of the blocks 4 … `top`."""
    return [
        Span(resolution=r, conv0_inputs=0 if r == 4 else (r // 2) ** 2, conv1_outputs=r**2)
        for r in config.block_resolutions
        if r <= top
    ]


def convolutions(config: GeneratorConfig, spans: Sequence[Span], *, image: bool = False) -> list[Convolution]:
    """The convolutions over some positions; with `image`, each block's ToRGB too."""
    found = []

    def add(name: str, positions: int, kernel: int, inputs: int, outputs: int) -> None:
        weights = kernel**2 * inputs * outputs
        found.append(Convolution(name=name, multiply_adds=positions * weights, weight_bytes=weights * FLOAT32_BYTES))

    for span in spans:
        block, channels = f"b{span.resolution}", config.block_channels(span.resolution)
        if span.resolution > 4:
            below = config.block_channels(span.resolution // 2)
            add(f"{block}.conv0", span.conv0_inputs, 3, below, channels)
            if config.architecture == "resnet":
                add(f"{block}.skip", span.conv0_inputs, 1, below, channels)
        add(f"{block}.conv1", span.conv1_outputs, 3, channels, channels)
        if image and (config.architecture == "skip" or span.resolution == config.resolution):
            add(f"{block}.torgb", span.conv1_outputs, 1, channels, config.img_channels)
    return found


def published_work(config: GeneratorConfig, feature_block: int) -> Work:
    """The published loop: the whole image forward; backward from the feature block.

    Its weights are fused with the styles, all of which hang on the latents that move, since moving and fixed ones are
    one array: so each convolution gets the gradient of its input and of its weights.
    """
    path = convolutions(config, whole_spans(config, feature_block))
    return Work(
        forward=convolutions(config, whole_spans(config, config.resolution), image=True),
        backward=[*_backward(path, "input"), *_backward(path, "weights")],
    )


def span_work(config: GeneratorConfig, spans: Sequence[Span]) -> Work:
    """Some positions forward, and the gradient of the inputs over the same positions backward."""
    forward = convolutions(config, spans)
    return Work(forward=forward, backward=_backward(forward, "input"))


def _backward(forward: Sequence[Convolution], kind: str) -> list[Convolution]:
    return [dataclasses.replace(c, name=f"{kind} gradient of {c.name}") for c in reversed(forward)]
